import type { Call } from './watch-api.ts';

/** One entry of a catalog file that is not yet so. */
export type CatalogDifference = {
  readonly kind: string;
  readonly key: string;
  readonly customer?: string;
  readonly effective_from?: string;
  readonly action: 'create' | 'change';
  /** Where the file says it. */
  readonly pointer: string;
  readonly changes: readonly { readonly pointer: string; readonly old?: unknown; readonly new?: unknown }[];
};

export type CatalogApplied = {
  readonly dry_run: boolean;
  readonly revision: string;
  readonly difference_id: string;
  readonly created: number;
  readonly changed: number;
  readonly unchanged: number;
  readonly differences: readonly CatalogDifference[];
  readonly not_in_file: {
    readonly count: number;
    readonly entries: readonly {
      readonly kind: string;
      readonly key: string;
      readonly customer?: string;
      readonly effective_from?: string;
    }[];
  };
};

export type Catalog = Readonly<Record<string, unknown>>;

/** The catalog as one document. */
export type CatalogApi = {
  readonly dryRunCatalog: (catalog: Catalog) => Promise<CatalogApplied>;
  /** Applies the difference that a dry run showed, and no other. */
  readonly applyCatalog: (catalog: Catalog, differenceId: string, idempotencyKey: string) => Promise<CatalogApplied>;
  readonly exportCatalog: (kinds: string | undefined) => Promise<Catalog>;
  readonly getCatalogSchema: () => Promise<unknown>;
  /** The address of the schema, for editors. */
  readonly catalogSchemaUrl: string;
};

export function catalogApi(call: Call, baseUrl: string): CatalogApi {
  const path = '/v1/catalog/apply';
  return {
    dryRunCatalog: (catalog) => call('POST', path, { query: { dry_run: 'true' }, json: catalog }),
    applyCatalog: (catalog, differenceId, idempotencyKey) =>
      call('POST', path, {
        query: { difference_id: differenceId },
        json: catalog,
        headers: { 'idempotency-key': idempotencyKey },
      }),
    exportCatalog: (kinds) => call('GET', '/v1/catalog', { query: { kinds } }),
    getCatalogSchema: () => call('GET', '/catalog.schema.json', {}),
    catalogSchemaUrl: `${baseUrl}/catalog.schema.json`,
  };
}
