import { z } from '@hono/zod-openapi';
import { isDeepStrictEqual } from 'node:util';
import { lockCatalog, raiseRevision } from '../catalog/index.ts';
import type { AppServices } from '../http/context.ts';
import { cursorAfter, cursorNumber, page } from '../http/cursor.ts';
import { type App, readRoute, writeRoute } from '../http/operation.ts';
import { refuse } from '../http/problem.ts';
import { pageOf, pageQuery } from '../http/wire.ts';
import { LIMITS } from '../limits.ts';
import { recordAction } from '../store/audit-log.ts';
import { readCondition } from './condition.ts';
import { type PolicyDocument, policyDocument } from './policy-document.ts';
import { endPolicy, findPolicy, listPolicies, listVersions, publishPolicy } from './policy-store.ts';
import { policyAnswer, policyOf, policyParams } from './schemas.ts';

const tag = 'Policies';

export function registerPolicyRoutes(app: App, services: AppServices): void {
  const { pool } = services.database;
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/policies',
      operationId: 'listPolicies',
      tag,
      scope: 'catalog:read',
      summary: 'List policies',
      description: 'Those in force, by key. All on one page.',
      answer: pageOf(policyAnswer),
    },
    async ({ environmentId }) => ({ data: (await listPolicies(pool, environmentId)).map(policyOf), next_cursor: null }),
  );
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/policies/{key}',
      operationId: 'getPolicy',
      tag,
      scope: 'catalog:read',
      summary: 'Get a policy',
      params: policyParams,
      answer: policyAnswer,
      problems: ['not_found'],
    },
    async ({ environmentId, params: { key } }) => {
      const row = await findPolicy(pool, environmentId, key);
      if (row === undefined) throw noPolicy(key);
      return policyOf(row);
    },
  );
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/policies/{key}/versions',
      operationId: 'listPolicyVersions',
      tag,
      scope: 'catalog:read',
      summary: 'List the versions of a policy',
      description: 'Newest first. A version never changes.',
      params: policyParams,
      query: pageQuery,
      answer: pageOf(policyAnswer),
      problems: ['not_found'],
    },
    async ({ environmentId, params: { key }, query: { limit, cursor } }) => {
      if ((await findPolicy(pool, environmentId, key)) === undefined) throw noPolicy(key);
      const before = cursorNumber('policy_versions', cursor);
      const rows = await listVersions(pool, environmentId, key, { before, limit: limit + 1 });
      return page(rows, limit, policyOf, (row) => cursorAfter('policy_versions', BigInt(row.version)));
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
      path: '/v1/policies/{key}',
      operationId: 'putPolicy',
      tag,
      scope: 'catalog:write',
      summary: 'Publish a version of a policy',
      description: 'In force for every decision after the answer. The same document again changes nothing.',
      params: policyParams,
      body: policyDocument,
      answer: policyAnswer,
      problems: ['invalid_catalog'],
    },
    async ({ client, environmentId, principal, params: { key }, body, afterCommit }) => {
      afterCommit(() => services.leases.recallAll(environmentId));
      checkCondition(body);
      await lockCatalog(client, environmentId);
      const known = await findPolicy(client, environmentId, key);
      const isSame = known?.ended_at === null && isDeepStrictEqual(policyDocument.parse(known.document), body);
      if (!isSame) {
        if (known === undefined && (await listPolicies(client, environmentId)).length >= LIMITS.policiesMax)
          throw refuse('conflict', `an environment has at most ${LIMITS.policiesMax} policies; end one first`);
        await publishPolicy(client, environmentId, key, body, services.clocks.now(environmentId));
        await raiseRevision(client, environmentId);
      }
      const row = await findPolicy(client, environmentId, key);
      if (row === undefined) throw new Error('the policy was not published');
      if (!isSame) {
        await recordAction(client, {
          environmentId,
          actor: principal.keyId,
          action: 'policy.publish',
          target: `/v1/policies/${key}`,
          detail: { version: row.version, mode: body.mode },
        });
      }
      return policyOf(row);
    },
  );
}

function registerDelete(app: App, services: AppServices): void {
  writeRoute(
    app,
    services,
    {
      method: 'delete',
      path: '/v1/policies/{key}',
      operationId: 'endPolicy',
      tag,
      scope: 'catalog:write',
      summary: 'End a policy',
      description: 'It is asked no more; its versions and decisions stay.',
      status: 204,
      params: policyParams,
      answer: z.null(),
      problems: ['not_found'],
    },
    async ({ client, environmentId, principal, params: { key }, afterCommit }) => {
      afterCommit(() => services.leases.recallAll(environmentId));
      await lockCatalog(client, environmentId);
      if (!(await endPolicy(client, environmentId, key, services.clocks.now(environmentId)))) throw noPolicy(key);
      await raiseRevision(client, environmentId);
      await recordAction(client, {
        environmentId,
        actor: principal.keyId,
        action: 'policy.end',
        target: `/v1/policies/${key}`,
      });
      return null;
    },
  );
}

/** A condition is read and checked before it is published, so that asking it later cannot fail by what it says. */
export function checkCondition(document: PolicyDocument): void {
  const read = document.condition === undefined ? undefined : readCondition(document.condition);
  if (read === undefined || read.ok) return;
  throw refuse('invalid_catalog', 'the condition does not hold together', [
    {
      pointer: '/condition',
      detail: read.error,
      remedy:
        'a CEL expression of bool over customer, team, user, feature, provider, model, agent, run_id, work_item, event_type, tags, metrics, at; docs/policies.md has examples',
    },
  ]);
}

export function noPolicy(key: string) {
  return refuse('not_found', `there is no policy ${key}`);
}
