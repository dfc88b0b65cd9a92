import { hash } from 'node:crypto';
import { z } from '@hono/zod-openapi';

import { formatInstant } from '../event/instant.ts';
import type { AppServices } from '../http/context.ts';
import { type App, readRoute } from '../http/operation.ts';
import { refuse } from '../http/problem.ts';
import { externalId, instantOrNull, instantText } from '../http/wire.ts';
import { type Admission, admit, type HoldBounder } from './admit.ts';
import type { Resolution } from './hold-desk.ts';
import { stableText } from './hold-request.ts';
import { findHold, type HoldRow } from './hold-store.ts';
import { settleByEvent } from './settle-by-event.ts';
import { amountTexts, extendBody, holdAnswer, holdBody, settleBody } from './schemas.ts';

const tag = 'Budgets';
const params = z.strictObject({ id: externalId });
const scope = 'holds:write';

export function registerHoldRoutes(app: App, services: AppServices, boundHold: HoldBounder): void {
  readRoute(
    app,
    services,
    {
      method: 'post',
      path: '/v1/holds',
      operationId: 'createHold',
      tag,
      scope,
      summary: 'Set an amount aside',
      description:
        'At every budget and wallet that applies, in one step, before the work runs; or 402, naming the limit, what is left and the largest output bound that would fit. The same body again is answered as the first time.',
      status: 201,
      body: holdBody,
      answer: holdAnswer,
      problems: ['policy_refused', 'budget_exceeded', 'conflict', 'overloaded'],
    },
    async ({ environmentId, principal, body }) => {
      const admission = await services.storeFailures.admit(environmentId, principal.keyId, body, async () => {
        const bound =
          body.estimate === undefined
            ? { body, lower: undefined }
            : await boundHold(services, await services.record.currentCatalog(environmentId), body);
        return admit(services, environmentId, principal.keyId, { ...bound, sent: body });
      });
      return answerOf(admission.hold, admission);
    },
  );
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/holds/{id}',
      operationId: 'getHold',
      tag,
      scope,
      summary: 'Get a hold',
      params,
      answer: holdAnswer,
      problems: ['not_found'],
    },
    async ({ environmentId, params: { id } }) => readHold(services, environmentId, id),
  );
  registerExtend(app, services);
  registerSettle(app, services);
  registerRelease(app, services);
}

function registerExtend(app: App, services: AppServices): void {
  readRoute(
    app,
    services,
    {
      method: 'post',
      path: '/v1/holds/{id}/extend',
      operationId: 'extendHold',
      tag,
      scope,
      summary: 'Keep a hold longer',
      description:
        '`dispatched` says that the work was sent: such a hold never simply expires, it settles at its estimate.',
      params,
      body: extendBody,
      answer: holdAnswer,
      problems: ['not_found', 'conflict'],
    },
    async ({ environmentId, params: { id }, body }) => {
      const expires = formatInstant(services.clocks.now(environmentId) + body.expires_in_seconds * 1_000_000);
      return answerOf(
        await resolveHold(services, environmentId, {
          id,
          action: body.dispatched === true ? 'dispatch' : 'extend',
          expires,
        }),
      );
    },
  );
}

function registerSettle(app: App, services: AppServices): void {
  readRoute(
    app,
    services,
    {
      method: 'post',
      path: '/v1/holds/{id}/settle',
      operationId: 'settleHold',
      tag,
      scope,
      summary: 'Settle a hold',
      description:
        'Once, at what was used: below the hold the rest goes back, above it follows `above`. By amounts, the hold then awaits its usage, and when an event names it only the difference is charged. After its expiry it still counts, and says so.',
      params,
      body: settleBody,
      answer: holdAnswer,
      problems: ['not_found', 'conflict'],
    },
    async ({ environmentId, principal, params: { id }, body }) => {
      if (body.event !== undefined) {
        const event = body.event;
        // Before anything is recorded: what is not found has changed nothing.
        const { customer } = await readHold(services, environmentId, id);
        if (customer !== null && event['subject'] !== customer) {
          throw refuse('invalid_request', 'the event is not of this hold', [
            { pointer: '/event/subject', detail: `the hold is of customer ${customer}`, remedy: `send ${customer}` },
          ]);
        }
        const data = typeof event['data'] === 'object' && event['data'] !== null ? event['data'] : {};
        await settleByEvent(services, principal, { ...event, data: { ...data, hold_id: id } });
        return readHold(services, environmentId, id);
      }
      const amounts = Object.fromEntries(amountTexts({ charge: body.amount, ...body.amounts }));
      if (Object.keys(amounts).length === 0) {
        throw refuse('invalid_request', 'the body is not valid', [
          { pointer: '', detail: 'says nothing of what was used', remedy: 'send amount, amounts or event' },
        ]);
      }
      const settleHash = hash('sha256', stableText(amounts), 'base64url');
      return answerOf(
        await resolveHold(services, environmentId, {
          ...{ id, action: 'settle', hash: settleHash },
          ...{ amounts, measures: Object.keys(amounts) },
        }),
      );
    },
  );
}

function registerRelease(app: App, services: AppServices): void {
  readRoute(
    app,
    services,
    {
      method: 'post',
      path: '/v1/holds/{id}/release',
      operationId: 'releaseHold',
      tag,
      scope,
      summary: 'Give a hold back',
      description: 'The work did not run: everything it set aside is free again.',
      params,
      answer: holdAnswer,
      problems: ['not_found', 'conflict'],
    },
    async ({ environmentId, params: { id } }) => {
      return answerOf(await resolveHold(services, environmentId, { id, action: 'release' }));
    },
  );
}

async function resolveHold(services: AppServices, environmentId: number, resolution: Resolution): Promise<HoldRow> {
  return services.storeFailures.resolve(environmentId, resolution, () =>
    resolveInStore(services, environmentId, resolution),
  );
}

async function resolveInStore(services: AppServices, environmentId: number, resolution: Resolution): Promise<HoldRow> {
  const resolved = await services.holds.resolve(environmentId, resolution);
  switch (resolved.outcome) {
    case 'changed':
    case 'repeated':
      return resolved.hold;
    case 'unknown':
      throw noHold(resolution.id);
    case 'conflict':
      throw refuse('conflict', `the hold ${resolution.id} was settled at other amounts; a hold settles once`);
    case 'above':
      throw refuse(
        'conflict',
        `the settlement is above the hold ${resolution.id}, which refuses that; it is still open`,
      );
    case 'resolved':
      throw refuse('conflict', `the hold ${resolution.id} is resolved already`);
  }
}

function noHold(id: string) {
  return refuse('not_found', `there is no hold ${id}`);
}

async function readHold(services: AppServices, environmentId: number, id: string) {
  const remembered = services.storeFailures.find(environmentId, id);
  const row = remembered ?? (await findHold(services.database.pool, environmentId, id));
  if (row === undefined) throw noHold(id);
  return answerOf(row);
}

function answerOf(row: HoldRow, admission?: Admission) {
  return {
    id: row.id,
    status: row.status,
    customer: row.customer,
    currency: row.currency,
    amounts: row.amounts,
    settled: row.settled,
    settled_by: row.settled_by,
    late: row.is_late,
    scopes: scopesOf(row),
    flags: [...(admission?.flags ?? [])],
    max_output_tokens: row.bound,
    clamped: admission?.isClamped ?? false,
    created_at: instantText(row.created_at),
    expires_at: instantText(row.expires_at),
    resolved_at: instantOrNull(row.resolved_at),
  };
}

function scopesOf(row: HoldRow): { kind: 'budget' | 'wallet'; key: string }[] {
  const budgets = (row.budget_keys ?? []).map((key) => ({ kind: 'budget' as const, key }));
  if (!row.funded || row.customer === null) return budgets;
  return [{ kind: 'wallet', key: `${row.customer}/${row.currency ?? ''}` }, ...budgets];
}
