import { z } from '@hono/zod-openapi';
import { recordAction } from '../../store/audit-log.ts';
import type { Queryable } from '../../store/database.ts';
import type { AppServices } from '../context.ts';
import { newKey } from '../keys.ts';
import { type App, readRoute, writeRoute } from '../operation.ts';
import { refuse } from '../problem.ts';
import { instantOutput, instantText, label, pageOf } from '../wire.ts';
import { createdKeyAnswer, keyOf, withoutSecret } from './key-routes.ts';
import { insertKey } from './key-store.ts';

/** The environment that is there from the start; its admin keys may create others. */
export const DEFAULT_ENVIRONMENT = 'default';

const environmentBody = z
  .strictObject({
    key: z
      .string()
      .regex(/^[a-z0-9][a-z0-9_-]{0,62}$/, 'a lower-case letter or digit, then at most 62 of those, _ or -'),
    name: label,
    sandbox: z
      .boolean()
      .default(false)
      .openapi({ description: 'Its clock may be stopped and moved: PUT /v1/test_clock' }),
  })
  .openapi('EnvironmentRequest');

const environmentFields = { key: z.string(), name: z.string(), sandbox: z.boolean(), created_at: instantOutput };
const environmentAnswer = z.strictObject(environmentFields).openapi('Environment');
const createdEnvironment = z
  .strictObject({ ...environmentFields, admin_key: createdKeyAnswer })
  .openapi('CreatedEnvironment');

type Row = { id: number; key: string; name: string; is_sandbox: boolean; created_at: string };

const tag = 'Access';

export function registerEnvironmentRoutes(app: App, services: AppServices): void {
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/environments',
      operationId: 'listEnvironments',
      tag,
      scope: 'keys:write',
      summary: 'List environments',
      description: 'An admin key of `default` sees all, any other key its own. All on one page.',
      answer: pageOf(environmentAnswer),
    },
    async ({ environmentId, principal }) => {
      const { pool } = services.database;
      const isAll = principal.role === 'admin' && (await isDefault(pool, environmentId));
      const result = await pool.query<Row>(
        'select id, key, name, is_sandbox, created_at from environment where $1 or id = $2 order by id',
        [isAll, environmentId],
      );
      return { data: result.rows.map(environmentOf), next_cursor: null };
    },
  );
  registerCreate(app, services);
}

function registerCreate(app: App, services: AppServices): void {
  writeRoute(
    app,
    services,
    {
      method: 'post',
      path: '/v1/environments',
      operationId: 'createEnvironment',
      tag,
      scope: 'keys:write',
      summary: 'Create an environment',
      description:
        'Needs an admin key of the environment `default`. Nothing is shared between environments: events, catalog, customers, wallets and keys are each its own. Answers with its first admin key.',
      status: 201,
      body: environmentBody,
      answer: createdEnvironment,
    },
    async ({ client, environmentId, principal, body }) => {
      if (principal.role !== 'admin' || !(await isDefault(client, environmentId))) {
        throw refuse('forbidden', 'only an admin key of the environment default may create environments');
      }
      const inserted = await client.query<Row>(
        `insert into environment (key, name, is_sandbox) values ($1, $2, $3) on conflict do nothing
         returning id, key, name, is_sandbox, created_at`,
        [body.key, body.name, body.sandbox],
      );
      const row = inserted.rows[0];
      if (row === undefined) throw refuse('conflict', `there is an environment ${body.key} already`);
      const made = newKey();
      const key = await insertKey(client, row.id, made, {
        name: 'first admin key',
        role: 'admin',
        scopes: [],
        expiresAt: null,
        requestsPerMinute: null,
        rotatedFrom: null,
      });
      const target = `/v1/environments/${row.key}`;
      const detail = { admin_key: key.id };
      for (const id of [environmentId, row.id]) {
        await recordAction(client, {
          environmentId: id,
          actor: principal.keyId,
          action: 'environment.create',
          target,
          detail,
        });
      }
      return { ...environmentOf(row), admin_key: { ...keyOf(key), key: made.text } };
    },
    (answer) => ({ ...answer, admin_key: withoutSecret(answer.admin_key) }),
  );
}

async function isDefault(db: Queryable, environmentId: number): Promise<boolean> {
  const result = await db.query('select from environment where id = $1 and key = $2', [
    environmentId,
    DEFAULT_ENVIRONMENT,
  ]);
  return result.rowCount === 1;
}

function environmentOf(row: Row): z.infer<typeof environmentAnswer> {
  return { key: row.key, name: row.name, sandbox: row.is_sandbox, created_at: instantText(row.created_at) };
}
