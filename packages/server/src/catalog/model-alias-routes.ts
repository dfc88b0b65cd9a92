import { z } from '@hono/zod-openapi';
import type { AppServices } from '../http/context.ts';
import { type App, readRoute, writeRoute } from '../http/operation.ts';
import { refuse } from '../http/problem.ts';
import { externalId, instantOutput, instantText, pageOf } from '../http/wire.ts';
import { loadModelResolver } from '../provider-prices/index.ts';
import { recordAction } from '../store/audit-log.ts';
import { beginCatalogWrite } from './catalog-write.ts';
import { deleteModelAlias, findModelAlias, listModelAliases, type ModelAliasRow } from './model-alias-store.ts';
import { putAlias } from './put-alias.ts';
import { lockCatalog, raiseRevision } from './revision.ts';

const params = z.strictObject({ reported: externalId });

const aliasBody = z
  .strictObject({ model: externalId.openapi({ description: 'The model it stands for', example: 'gpt-5-mini' }) })
  .openapi('ModelAliasRequest');

const aliasAnswer = z
  .strictObject({
    reported: z.string().openapi({ example: 'chat-prod-eu' }),
    model: z.string(),
    canonical_model: z
      .string()
      .openapi({ description: 'As the price table names it; `model` where it has no such model' }),
    model_family: z.string().nullable(),
    created_at: instantOutput,
  })
  .openapi('ModelAlias');

const tag = 'Catalog';

export function registerModelAliasRoutes(app: App, services: AppServices): void {
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/model_aliases',
      operationId: 'listModelAliases',
      tag,
      scope: 'catalog:read',
      summary: 'List model aliases',
      description: 'By the reported name, all on one page.',
      answer: pageOf(aliasAnswer),
    },
    async ({ environmentId }) => {
      const rows = await listModelAliases(services.database.pool, environmentId);
      return { data: await Promise.all(rows.map(aliasOf)), next_cursor: null };
    },
  );
  registerPut(app, services);
  registerDelete(app, services);
}

function registerPut(app: App, services: AppServices): void {
  writeRoute(
    app,
    services,
    {
      method: 'put',
      path: '/v1/model_aliases/{reported}',
      operationId: 'putModelAlias',
      tag,
      scope: 'catalog:write',
      summary: 'Say which model a reported name stands for',
      description:
        'For names that only you know: a deployment of Azure, a private alias. From then on events that report it are priced, costed and grouped as that model too; what was recorded before stays as it was.',
      params,
      body: aliasBody,
      answer: aliasAnswer,
    },
    async (request) => {
      const write = await beginCatalogWrite(services, request);
      return aliasOf(await putAlias(write, request.params.reported, request.body.model));
    },
  );
}

function registerDelete(app: App, services: AppServices): void {
  writeRoute(
    app,
    services,
    {
      method: 'delete',
      path: '/v1/model_aliases/{reported}',
      operationId: 'deleteModelAlias',
      tag,
      scope: 'catalog:write',
      summary: 'Delete a model alias',
      description: 'What was recorded while it stood stays as it is.',
      status: 204,
      params,
      answer: z.null(),
      problems: ['not_found'],
    },
    async ({ client, environmentId, principal, params: { reported } }) => {
      await lockCatalog(client, environmentId);
      const known = await findModelAlias(client, environmentId, reported);
      if (known === undefined) throw refuse('not_found', `there is no alias of the model ${reported}`);
      await deleteModelAlias(client, environmentId, reported);
      await raiseRevision(client, environmentId);
      await recordAction(client, {
        environmentId,
        actor: principal.keyId,
        action: 'model_alias.delete',
        target: `/v1/model_aliases/${encodeURIComponent(reported)}`,
        detail: { model: known.model },
      });
      return null;
    },
  );
}

async function aliasOf(row: ModelAliasRow): Promise<z.infer<typeof aliasAnswer>> {
  const { canonical, family } = (await loadModelResolver())(row.model);
  return {
    reported: row.reported,
    model: row.model,
    canonical_model: canonical ?? row.model,
    model_family: family ?? null,
    created_at: instantText(row.created_at),
  };
}
