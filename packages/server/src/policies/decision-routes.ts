import type { AppServices } from '../http/context.ts';
import { cursorAfter, cursorNumber, page } from '../http/cursor.ts';
import { type App, readRoute, writeRoute } from '../http/operation.ts';
import { refuse } from '../http/problem.ts';
import { instantMicros, instantText, pageOf } from '../http/wire.ts';
import { decideAndRecord } from './decide-and-record.ts';
import { findDecision, listDecisions } from './decision-store.ts';
import { checkCondition, noPolicy } from './policy-routes.ts';
import { findPolicy } from './policy-store.ts';
import { replayDecisions } from './replay.ts';
import {
  decidedAnswer,
  decisionAnswer,
  decisionBody,
  decisionOf,
  decisionParams,
  decisionQuery,
  policyParams,
  replayAnswer,
  replayBody,
} from './schemas.ts';

const tag = 'Policies';

export function registerDecisionRoutes(app: App, services: AppServices): void {
  const { pool } = services.database;
  writeRoute(
    app,
    services,
    {
      method: 'post',
      path: '/v1/decisions',
      operationId: 'decide',
      tag,
      scope: 'events:write',
      summary: 'Ask the policies',
      description: 'Decides by every policy in force and records the decision with its inputs.',
      body: decisionBody,
      answer: decidedAnswer,
    },
    async ({ client, environmentId, body }) => {
      const question = { place: 'request', subject: body.subject ?? null, inputs: body.inputs } as const;
      const [decided] = await decideAndRecord(client, services.policies, environmentId, [question], {
        now: services.now(),
      });
      if (decided === undefined) throw new Error('a question had no answer');
      return { ...decided, matches: [...decided.matches] };
    },
  );
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/decisions',
      operationId: 'listDecisions',
      tag,
      scope: 'billing:read',
      summary: 'List decisions',
      description: 'Newest first, with the inputs and versions they were made on.',
      query: decisionQuery,
      answer: pageOf(decisionAnswer),
    },
    async ({ environmentId, query: { limit, cursor, customer, action, policy, from, to } }) => {
      const before = cursorNumber('decisions', cursor);
      const filter = { customer, action, policy, from: optionalMicros(from), to: optionalMicros(to) };
      const rows = await listDecisions(pool, environmentId, filter, { before, limit: limit + 1 });
      return page(rows, limit, decisionOf, (row) => cursorAfter('decisions', row.id));
    },
  );
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/decisions/{id}',
      operationId: 'getDecision',
      tag,
      scope: 'billing:read',
      summary: 'Get a decision',
      params: decisionParams,
      answer: decisionAnswer,
      problems: ['not_found'],
    },
    async ({ environmentId, params: { id } }) => {
      const row = await findDecision(pool, environmentId, id);
      if (row === undefined) throw refuse('not_found', `there is no decision ${id}`);
      return decisionOf(row);
    },
  );
  registerReplay(app, services);
}

function registerReplay(app: App, services: AppServices): void {
  const { pool } = services.database;
  readRoute(
    app,
    services,
    {
      method: 'post',
      path: '/v1/policies/{key}/replay',
      operationId: 'replayPolicy',
      tag,
      scope: 'billing:read',
      summary: 'Decide recorded decisions again',
      description:
        'The newest decisions this policy was asked about, on their recorded inputs: with a document, what it would have changed; without, whether each comes out as recorded. Writes nothing.',
      params: policyParams,
      body: replayBody,
      isBodyOptional: true,
      answer: replayAnswer,
      problems: ['not_found', 'invalid_catalog'],
    },
    async ({ environmentId, params: { key }, body }) => {
      if (body.document !== undefined) checkCondition(body.document);
      if ((await findPolicy(pool, environmentId, key)) === undefined) throw noPolicy(key);
      const filter = { policy: key, from: optionalMicros(body.from), to: optionalMicros(body.to) };
      const rows = await listDecisions(pool, environmentId, filter, { before: undefined, limit: body.limit });
      const proposed = body.document && { key, document: body.document };
      const replayed = await replayDecisions(pool, environmentId, rows, proposed);
      const different = replayed.filter(({ differs }) => differs);
      return {
        decisions: replayed.length,
        same: replayed.length - different.length,
        different: different.map((one) => ({
          decision: String(one.row.id),
          at: instantText(one.row.at),
          customer: one.row.customer,
          recorded: one.row.result.action,
          replayed: one.replayed.action,
        })),
      };
    },
  );
}

function optionalMicros(text: string | undefined): number | undefined {
  return text === undefined ? undefined : instantMicros(text);
}
