import { z } from '@hono/zod-openapi';
import { beginCatalogWrite } from '../catalog/index.ts';
import { catalogRevision } from '../catalog/snapshot.ts';
import type { AppServices } from '../http/context.ts';
import { type App, readRoute, writeRoute } from '../http/operation.ts';
import { instantOutput } from '../http/wire.ts';
import { LIMITS } from '../limits.ts';
import { clockOf } from '../store/environment-clock.ts';
import { type Application, applyCatalog } from './apply-catalog.ts';
import { catalogFile, KINDS } from './catalog-file.ts';
import { exportCatalog } from './export-catalog.ts';
import { readCatalog } from './read-catalog.ts';

const tag = 'Catalog';

const kinds = z
  .string()
  .max(200)
  .transform((text) => text.split(','))
  .pipe(z.array(z.enum(KINDS)).min(1))
  .optional()
  .openapi({ type: 'string', description: `Some kinds only, divided by commas: ${KINDS.join(', ')}` });

const entryName = {
  kind: z.enum(KINDS),
  key: z.string(),
  customer: z.string().optional().openapi({ description: 'Of an override' }),
  effective_from: instantOutput.optional().openapi({ description: 'Of a version to come' }),
};

const applyAnswer = z
  .strictObject({
    dry_run: z.boolean(),
    revision: z.string().openapi({ description: 'Of the catalog, afterwards', example: '17' }),
    difference_id: z
      .string()
      .openapi({ description: 'Names this difference; `difference_id` applies it and no other' }),
    created: z.number().int(),
    changed: z.number().int(),
    unchanged: z.number().int(),
    differences: z.array(
      z.strictObject({
        ...entryName,
        action: z.enum(['create', 'change']),
        pointer: z.string().openapi({ description: 'Where the file says it', example: '/rate_cards/default' }),
        changes: z.array(
          z.strictObject({
            pointer: z
              .string()
              .openapi({ description: 'Into the entry', example: '/prices/0/charge_model/unit_amount' }),
            old: z.unknown().optional().openapi({ description: 'Left out: added' }),
            new: z.unknown().optional().openapi({ description: 'Left out: taken away' }),
          }),
        ),
      }),
    ),
    not_in_file: z.strictObject({ count: z.number().int(), entries: z.array(z.strictObject(entryName)) }).openapi({
      description: `What stands under the kinds (for overrides: the customers) of the file and is not in it. It stays; the first ${LIMITS.pageSizeMax} are named`,
    }),
  })
  .openapi('CatalogApplied');

/** The catalog as one document: apply it, export it. */
export function registerCatalogFileRoutes(app: App, services: AppServices): void {
  writeRoute(
    app,
    services,
    {
      method: 'post',
      path: '/v1/catalog/apply',
      operationId: 'applyCatalog',
      tag,
      scope: 'catalog:write',
      summary: 'Apply a catalog',
      description:
        'Makes the catalog say what the document says, in one transaction: everything or nothing. What is there already is not written again, and what the document leaves out stays. With `dry_run` everything is checked and nothing is kept.',
      query: z.strictObject({
        dry_run: z.enum(['true', 'false']).default('false'),
        difference_id: z.string().min(1).max(64).optional().openapi({
          description: 'Of a dry run: 409 when the catalog has changed so that the difference is another one',
        }),
      }),
      body: catalogFile,
      bodyBytesMax: LIMITS.catalogBytesMax,
      answer: applyAnswer,
      problems: ['invalid_catalog'],
    },
    async (request) => {
      const isDryRun = request.query.dry_run === 'true';
      const write = await beginCatalogWrite(services, request);
      const options = { isDryRun, expected: request.query.difference_id };
      const application = await applyCatalog(write, services.prices, request.body, options);
      const revision = await catalogRevision(write.client, write.environmentId);
      return { dry_run: isDryRun, revision: String(revision), ...shown(application) };
    },
  );
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/catalog',
      operationId: 'exportCatalog',
      tag,
      scope: 'catalog:read',
      summary: 'Export the catalog',
      description:
        'As the document that `POST /v1/catalog/apply` takes: what is in force and what is to come. Applied where it came from it changes nothing.',
      query: z.strictObject({ kinds }),
      answer: catalogFile,
      problems: ['conflict'],
    },
    async ({ environmentId, query }) =>
      services.database.transaction(async (client) => {
        // One state for all kinds: a plan and its card belong together.
        await client.query('set transaction isolation level repeatable read, read only');
        const now = await clockOf(client, environmentId, services.now());
        const question = Object.fromEntries((query.kinds ?? KINDS).map((kind) => [kind, null]));
        return exportCatalog(await readCatalog(client, environmentId, question, now), now);
      }),
  );
}

function shown({ differences, unchanged, absent, differenceId }: Application) {
  const created = differences.filter((one) => one.action === 'create').length;
  return {
    difference_id: differenceId,
    created,
    changed: differences.length - created,
    unchanged,
    differences: differences.map(({ wanted, changes, ...difference }) => ({
      kind: wanted.kind,
      ...difference,
      changes: [...changes],
    })),
    not_in_file: { count: absent.length, entries: absent.slice(0, LIMITS.pageSizeMax) },
  };
}
