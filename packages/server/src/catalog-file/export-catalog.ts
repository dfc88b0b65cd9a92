import { DEFINITIONS } from '../billing/index.ts';
import { meterSchema } from '../catalog/custom-meter.ts';
import { formatInstant } from '../event/instant.ts';
import { fieldErrors } from '../http/field-errors.ts';
import { refuse } from '../http/problem.ts';
import { instantMicros } from '../http/wire.ts';
import { type CatalogFile, catalogFile, KINDS } from './catalog-file.ts';
import { type Catalog, DEFINITION_KINDS, type Standing } from './read-catalog.ts';
import { withoutDefaults } from './without-defaults.ts';

/**
 * What the environment holds as a file: applied there it changes nothing. Dates stand where they lie ahead only, because a
 * beginning that has passed cannot be repeated; overrides that have ended are left out.
 */
export function exportCatalog(catalog: Catalog, now: number): CatalogFile {
  const definitions = Object.values(DEFINITION_KINDS).map((kind) => {
    const { path, spec } = DEFINITIONS[kind];
    return [path, record(catalog[path], (value) => withoutDefaults(spec, value))] as const;
  });
  const sections: Record<string, Record<string, unknown>> = {
    meters: record(catalog.meters, (spec) => withoutDefaults(meterSchema, spec)),
    ...Object.fromEntries(definitions),
    rate_cards: record(catalog.rate_cards, (versions) => versionsOf(versions, now)),
    provider_price_overrides: record(catalog.provider_price_overrides, (versions) => versionsOf(versions, now)),
    model_aliases: record(catalog.model_aliases, (model) => model),
    customer_overrides: record(catalog.customer_overrides, (specs) => record(specs, (spec) => undated(spec, now))),
  };
  // In the order in which they name each other, which is how a person reads them.
  const kept = KINDS.filter((kind) => Object.keys(sections[kind] ?? {}).length > 0);
  const file = Object.fromEntries(kept.map((kind) => [kind, sections[kind]]));
  const read = catalogFile.safeParse(file);
  if (read.success) return file;
  const remedy = 'ask for some kinds at a time: ?kinds=plans,features';
  const errors = fieldErrors(read.error, 'body').map((error) => ({ remedy, ...error }));
  throw refuse('conflict', 'the catalog is more than one file may hold', errors);
}

function versionsOf(versions: readonly Standing<object>[], now: number): unknown {
  const said = versions.flatMap(({ effectiveFrom, spec }) => {
    if (spec === null || spec === undefined) return [];
    return [effectiveFrom > now ? { effective_from: formatInstant(effectiveFrom), ...spec } : spec];
  });
  return said.length > 1 ? said : said[0];
}

function undated(
  {
    effective_from: from,
    effective_to: to,
    ...spec
  }: { effective_from?: string | undefined; effective_to?: string | null | undefined },
  now: number,
): unknown {
  return {
    ...spec,
    ...(from !== undefined && instantMicros(from) > now && { effective_from: from }),
    ...(typeof to === 'string' && { effective_to: to }),
  };
}

function record<Value>(
  entries: ReadonlyMap<string, Value> | undefined,
  said: (value: Value) => unknown,
): Record<string, unknown> {
  const all = [...(entries ?? [])].map(([key, value]) => [key, said(value)] as const);
  return Object.fromEntries(all.filter(([, value]) => value !== undefined));
}
