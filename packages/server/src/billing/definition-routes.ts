import { z } from '@hono/zod-openapi';
import { beginCatalogWrite } from '../catalog/index.ts';
import type { AppServices } from '../http/context.ts';
import { cursorAfter, cursorNumber, cursorPosition, page } from '../http/cursor.ts';
import { type App, readRoute, writeRoute } from '../http/operation.ts';
import { type ProblemError, refuse } from '../http/problem.ts';
import { catalogKey, instantOutput, instantText, pageOf, pageQuery } from '../http/wire.ts';
import { type DefinitionRow, findDefinition, listDefinitions, listDefinitionVersions } from './definition-store.ts';
import { type Definition, DEFINITIONS, publishDefinition } from './publish-definition.ts';

const params = z.strictObject({ key: catalogKey });
const tag = 'Plans' as const;

/** Features, plans, add-ons and coupons: each a list of versions, of which none is ever edited. */
export function registerDefinitionRoutes(app: App, services: AppServices): void {
  for (const definition of Object.values(DEFINITIONS)) register(app, services, definition);
}

function register(app: App, services: AppServices, definition: Definition): void {
  const { path, schema } = definition;
  const body = definition.spec;
  const answer = z
    .strictObject({ key: z.string(), version: z.number().int(), spec: body, created_at: instantOutput })
    .openapi(schema);
  const shown = (row: DefinitionRow): z.infer<typeof answer> => ({
    key: row.key,
    version: row.version,
    spec: body.parse(row.spec),
    created_at: instantText(row.created_at),
  });
  const missing = (key: string) => refuse('not_found', `there is no ${path.slice(0, -1).replace('_', '-')} ${key}`);
  const parts = { definition, body, answer, shown, missing };
  registerReads(app, services, parts);
  registerVersions(app, services, parts);
  registerPublish(app, services, parts);
}

type Shown = { key: string; version: number; spec: unknown; created_at: string };
type Parts = {
  readonly definition: Definition;
  readonly body: z.ZodType;
  readonly answer: z.ZodType<Shown>;
  readonly shown: (row: DefinitionRow) => Shown;
  readonly missing: (key: string) => ProblemError;
};

function registerReads(app: App, services: AppServices, { definition, answer, shown, missing }: Parts): void {
  const { kind, path, schema, one } = definition;
  const { pool } = services.database;
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: `/v1/${path}`,
      operationId: `list${schema}s`,
      tag,
      scope: 'catalog:read',
      summary: `List ${path.replace('_', '-')}`,
      description: 'The latest version of each, by key.',
      query: pageQuery,
      answer: pageOf(answer),
    },
    async ({ environmentId, query: { limit, cursor } }) => {
      const rows = await listDefinitions(pool, environmentId, kind, cursorPosition(path, cursor), limit + 1);
      return page(rows, limit, shown, (row) => cursorAfter(path, row.key));
    },
  );
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: `/v1/${path}/{key}`,
      operationId: `get${schema}`,
      tag,
      scope: 'catalog:read',
      summary: `Get ${one}`,
      description: 'Its latest version.',
      params,
      answer,
      problems: ['not_found'],
    },
    async ({ environmentId, params: { key } }) => {
      const row = await findDefinition(pool, environmentId, { kind, key });
      if (row === undefined) throw missing(key);
      return shown(row);
    },
  );
}

function registerVersions(app: App, services: AppServices, { definition, answer, shown, missing }: Parts): void {
  const { kind, path, schema, one } = definition;
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: `/v1/${path}/{key}/versions`,
      operationId: `list${schema}Versions`,
      tag,
      scope: 'catalog:read',
      summary: `List the versions of ${one}`,
      description: 'Newest first. A version is never edited.',
      params,
      query: pageQuery,
      answer: pageOf(answer),
      problems: ['not_found'],
    },
    async ({ environmentId, params: { key }, query: { limit, cursor } }) => {
      const list = `${path}_versions`;
      const before = cursorNumber(list, cursor);
      const at = { kind, key, before, limit: limit + 1 };
      const rows = await listDefinitionVersions(services.database.pool, environmentId, at);
      if (rows.length === 0 && before === undefined) throw missing(key);
      return page(rows, limit, shown, (row) => cursorAfter(list, String(row.version)));
    },
  );
}

function registerPublish(app: App, services: AppServices, { definition, body, answer, shown }: Parts): void {
  const { path, schema, one } = definition;
  writeRoute(
    app,
    services,
    {
      method: 'put',
      path: `/v1/${path}/{key}`,
      operationId: `put${schema}`,
      tag,
      scope: 'catalog:write',
      summary: `Publish a version of ${one}`,
      description:
        'A new version, unless it says what the latest says. Subscriptions keep the version they took; new ones take the latest.',
      params,
      body,
      answer,
      problems: ['invalid_catalog'],
    },
    async (request) => {
      const write = await beginCatalogWrite(services, request);
      return shown(await publishDefinition(write, definition, request.params.key, request.body));
    },
  );
}
