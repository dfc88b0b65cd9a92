import { z } from '@hono/zod-openapi';
import { recordAction } from '../../store/audit-log.ts';
import type { AppServices } from '../context.ts';
import { cursorAfter, cursorPosition, page } from '../cursor.ts';
import { newKey, type Principal, ROLES, SCOPES, scopesOf } from '../keys.ts';
import { type App, readRoute, writeRoute } from '../operation.ts';
import { refuse } from '../problem.ts';
import {
  instantInput,
  instantMicros,
  instantOrNull,
  instantOutput,
  instantText,
  label,
  pageOf,
  pageQuery,
} from '../wire.ts';
import { hasOtherAdmin, insertKey, type KeyRow, listKeys, lockKey, revokeKey } from './key-store.ts';

const params = z.strictObject({ id: z.string().regex(/^[a-z0-9_]{1,32}$/, 'the id of a key') });

const keyBody = z
  .strictObject({
    name: label,
    role: z.enum(ROLES),
    scopes: z.array(z.enum(SCOPES)).max(SCOPES.length).default([]).openapi({ description: 'Beyond those of the role' }),
    expires_at: instantInput.nullish(),
    requests_per_minute: z.number().int().min(1).max(10_000_000).nullish(),
  })
  .openapi('KeyRequest');

const OVERLAP_SECONDS_MAX = 30 * 86_400;
const rotateBody = z
  .strictObject({
    overlap_seconds: z.number().int().min(0).max(OVERLAP_SECONDS_MAX).default(0).openapi({
      description: 'How long the old key works on',
    }),
  })
  .default({ overlap_seconds: 0 })
  .openapi('RotateRequest');

const keyFields = {
  id: z.string(),
  name: z.string(),
  role: z.enum(ROLES),
  scopes: z.array(z.string()).openapi({ description: 'All it has, those of its role included' }),
  requests_per_minute: z.number().int().nullable(),
  created_at: instantOutput,
  expires_at: instantOutput.nullable(),
  revoked_at: instantOutput.nullable(),
  rotated_from: z.string().nullable(),
};
const keyAnswer = z.strictObject(keyFields).openapi('Key');

export const createdKeyAnswer = z
  .strictObject({
    ...keyFields,
    key: z.string().optional().openapi({
      description: 'The secret, this once. Left out where an Idempotency-Key repeats the answer: rotate the key then',
    }),
  })
  .openapi('CreatedKey');
type CreatedKey = z.infer<typeof createdKeyAnswer>;

const tag = 'Access';

export function registerKeyRoutes(app: App, services: AppServices): void {
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/keys',
      operationId: 'listKeys',
      tag,
      scope: 'keys:write',
      summary: 'List keys',
      description: 'Newest first, revoked ones included; never their secrets.',
      query: pageQuery,
      answer: pageOf(keyAnswer),
    },
    async ({ environmentId, query: { limit, cursor } }) => {
      const before = cursorPosition('keys', cursor);
      const rows = await listKeys(services.database.pool, environmentId, before, limit + 1);
      return page(rows, limit, keyOf, (row) => cursorAfter('keys', row.id));
    },
  );
  registerCreate(app, services);
  registerRotate(app, services);
  registerRevoke(app, services);
}

function registerCreate(app: App, services: AppServices): void {
  writeRoute(
    app,
    services,
    {
      method: 'post',
      path: '/v1/keys',
      operationId: 'createKey',
      tag,
      scope: 'keys:write',
      summary: 'Create a key',
      description: 'For this environment, with no scope that the asking key lacks.',
      status: 201,
      body: keyBody,
      answer: createdKeyAnswer,
    },
    async ({ client, environmentId, principal, body }) => {
      refuseMore(principal, [...scopesOf(body.role, body.scopes)]);
      const expiresAt = body.expires_at ?? null;
      if (expiresAt !== null && instantMicros(expiresAt) <= services.now()) {
        throw refuse('invalid_request', 'the key would have expired already', [
          { pointer: '/expires_at', detail: 'has passed already', remedy: 'name an instant to come, or leave it out' },
        ]);
      }
      const made = newKey();
      const row = await insertKey(client, environmentId, made, {
        name: body.name,
        role: body.role,
        scopes: body.scopes,
        expiresAt,
        requestsPerMinute: body.requests_per_minute ?? null,
        rotatedFrom: null,
      });
      await recordAction(client, {
        environmentId,
        actor: principal.keyId,
        action: 'key.create',
        target: `/v1/keys/${row.id}`,
        detail: { name: row.name, role: row.role, scopes: row.scopes },
      });
      return { ...keyOf(row), key: made.text };
    },
    withoutSecret,
  );
}

function registerRotate(app: App, services: AppServices): void {
  writeRoute(
    app,
    services,
    {
      method: 'post',
      path: '/v1/keys/{id}/rotate',
      operationId: 'rotateKey',
      tag,
      scope: 'keys:write',
      summary: 'Rotate a key',
      description: 'A new key with the same rights; the old one works on for `overlap_seconds`.',
      status: 201,
      params,
      body: rotateBody,
      isBodyOptional: true,
      answer: createdKeyAnswer,
      problems: ['not_found'],
    },
    async ({ client, environmentId, principal, params: { id }, body, afterCommit }) => {
      const old = await lockKey(client, environmentId, id);
      if (old === undefined) throw noKey(id);
      if (old.revoked_at !== null) throw refuse('conflict', `the key ${id} has been revoked or rotated already`);
      refuseMore(principal, [...scopesOf(old.role, old.scopes)]);
      const made = newKey();
      const row = await insertKey(client, environmentId, made, {
        name: old.name,
        role: old.role,
        scopes: old.scopes,
        expiresAt: old.expires_at,
        requestsPerMinute: old.requests_per_minute,
        rotatedFrom: old.id,
      });
      await revokeKey(client, environmentId, id, body.overlap_seconds);
      await recordAction(client, {
        environmentId,
        actor: principal.keyId,
        action: 'key.rotate',
        target: `/v1/keys/${id}`,
        detail: { new_key: row.id, overlap_seconds: body.overlap_seconds },
      });
      afterCommit(() => services.keys.forget(id));
      return { ...keyOf(row), key: made.text };
    },
    withoutSecret,
  );
}

function registerRevoke(app: App, services: AppServices): void {
  writeRoute(
    app,
    services,
    {
      method: 'delete',
      path: '/v1/keys/{id}',
      operationId: 'revokeKey',
      tag,
      scope: 'keys:write',
      summary: 'Revoke a key',
      description: 'At once in the process that answers, within two seconds in every other. The last admin key stays.',
      status: 204,
      params,
      answer: z.null(),
      problems: ['not_found'],
    },
    async ({ client, environmentId, principal, params: { id }, afterCommit }) => {
      const others = await hasOtherAdmin(client, environmentId, id);
      const row = await lockKey(client, environmentId, id);
      if (row === undefined) throw noKey(id);
      if (row.role === 'admin' && row.revoked_at === null && !others) {
        throw refuse('conflict', 'this is the last admin key of the environment; create another one first');
      }
      await revokeKey(client, environmentId, id, 0);
      await recordAction(client, {
        environmentId,
        actor: principal.keyId,
        action: 'key.revoke',
        target: `/v1/keys/${id}`,
      });
      afterCommit(() => services.keys.forget(id));
      return null;
    },
  );
}

/** Nobody gives what they do not have: a key cannot make a stronger one. */
function refuseMore(principal: Principal, scopes: readonly string[]): void {
  const held: ReadonlySet<string> = principal.scopes;
  const missing = scopes.filter((scope) => !held.has(scope));
  if (missing.length > 0) {
    throw refuse('forbidden', `this key cannot give what it does not have: ${missing.join(', ')}`);
  }
}

/** What is kept of an answer that showed a secret. */
export function withoutSecret(answer: CreatedKey): CreatedKey {
  const kept = { ...answer };
  delete kept.key;
  return kept;
}

function noKey(id: string) {
  return refuse('not_found', `there is no key ${id}`);
}

export function keyOf(row: KeyRow): z.infer<typeof keyAnswer> {
  return {
    id: row.id,
    name: row.name,
    role: row.role,
    scopes: [...scopesOf(row.role, row.scopes)],
    requests_per_minute: row.requests_per_minute,
    created_at: instantText(row.created_at),
    expires_at: instantOrNull(row.expires_at),
    revoked_at: instantOrNull(row.revoked_at),
    rotated_from: row.rotated_from,
  };
}
