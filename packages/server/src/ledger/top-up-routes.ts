import type { AppServices } from '../http/context.ts';
import { cursorAfter, cursorNumber, page } from '../http/cursor.ts';
import { type App, readRoute, writeRoute } from '../http/operation.ts';
import { refuse } from '../http/problem.ts';
import { pageOf, pageQuery } from '../http/wire.ts';
import { recordAction } from '../store/audit-log.ts';
import type { Client } from '../store/database.ts';
import { walletParams } from './schemas.ts';
import { failTopUp, payTopUp, requestTopUp } from './top-up-service.ts';
import { findTopUp, listTopUps, type TopUpRow } from './top-up-store.ts';
import { customerIdOf, noWallet, walletTarget } from './wallet-routes.ts';
import { walletCurrency } from './wallet-store.ts';
import { failedBody, paidBody, topUpAnswer, topUpBody, topUpOf, topUpParams } from './watch-schemas.ts';

const tag = 'Wallets';
const HOUR_MICROS = 3_600_000_000;

export function registerTopUpRoutes(app: App, services: AppServices): void {
  const { pool } = services.database;
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/customers/{id}/wallets/{wallet}/top_ups',
      operationId: 'listTopUps',
      tag,
      scope: 'billing:read',
      summary: 'List top-ups',
      description: 'Newest first.',
      params: walletParams,
      query: pageQuery,
      answer: pageOf(topUpAnswer),
      problems: ['not_found'],
    },
    async ({ environmentId, params: { id, wallet }, query: { limit, cursor } }) => {
      const customerId = await customerIdOf(pool, environmentId, id);
      if ((await walletCurrency(pool, environmentId, customerId, wallet)) === undefined) throw noWallet(wallet);
      const before = cursorNumber('top_ups', cursor);
      const rows = await listTopUps(pool, { environmentId, customerId, wallet }, { before, limit: limit + 1 });
      return page(rows, limit, topUpOf, (row) => cursorAfter('top_ups', row.id));
    },
  );
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/customers/{id}/wallets/{wallet}/top_ups/{top_up}',
      operationId: 'getTopUp',
      tag,
      scope: 'billing:read',
      summary: 'Get a top-up',
      params: topUpParams,
      answer: topUpAnswer,
      problems: ['not_found'],
    },
    async ({ environmentId, params: { id, wallet, top_up: topUp } }) => {
      const customerId = await customerIdOf(pool, environmentId, id);
      const row = await findTopUp(pool, { environmentId, customerId, wallet }, topUp, { isLocked: false });
      if (row === undefined) throw noTopUp(topUp);
      return topUpOf(row);
    },
  );
  registerRequest(app, services);
  registerPaid(app, services);
  registerFailed(app, services);
}

function registerRequest(app: App, services: AppServices): void {
  writeRoute(
    app,
    services,
    {
      method: 'post',
      path: '/v1/customers/{id}/wallets/{wallet}/top_ups',
      operationId: 'createTopUp',
      tag,
      scope: 'billing:write',
      summary: 'Ask for a top-up',
      description:
        'Pending until somebody answers paid or failed; nothing of it can be spent before. Send an Idempotency-Key.',
      status: 201,
      params: walletParams,
      body: topUpBody,
      answer: topUpAnswer,
      problems: ['not_found', 'conflict'],
    },
    async ({ client, environmentId, principal, params: { id, wallet }, body }) => {
      const now = services.clocks.now(environmentId);
      const customerId = await customerIdOf(client, environmentId, id);
      const currency = await walletCurrency(client, environmentId, customerId, wallet);
      if (currency === undefined) throw noWallet(wallet);
      const topUp = await requestTopUp(
        client,
        {
          ...{ environmentId, customerId, customer: id, wallet, currency },
          ...{ amount: String(body.amount), trigger: 'manual', slot: null, connector: body.connector },
          terms: {
            ...(body.expires_after_days !== undefined && { expires_after_days: body.expires_after_days }),
            ...(body.priority !== undefined && { priority: body.priority }),
          },
          answerBy: now + body.answer_hours * HOUR_MICROS,
        },
        now,
      );
      if (topUp === undefined) throw new Error('a top-up by hand collided with another');
      await recordAction(client, {
        environmentId,
        actor: principal.keyId,
        action: 'top_up.request',
        target: `${walletTarget(id, wallet)}/top_ups/${topUp}`,
        detail: { amount: String(body.amount), currency },
      });
      return topUpNow(client, { environmentId, customerId, wallet }, topUp);
    },
  );
}

function registerPaid(app: App, services: AppServices): void {
  writeRoute(
    app,
    services,
    {
      method: 'post',
      path: '/v1/customers/{id}/wallets/{wallet}/top_ups/{top_up}/paid',
      operationId: 'payTopUp',
      tag,
      scope: 'billing:write',
      summary: 'Say that a top-up was paid',
      description:
        'Puts its grant into the wallet, once: the same answer again changes nothing. One that had failed may still be paid.',
      params: topUpParams,
      body: paidBody,
      isBodyOptional: true,
      answer: topUpAnswer,
      problems: ['not_found'],
    },
    async ({ client, environmentId, principal, params: { id, wallet, top_up: topUp }, body }) => {
      const place = { environmentId, customerId: await customerIdOf(client, environmentId, id), wallet };
      const row = await findTopUp(client, place, topUp, { isLocked: true });
      if (row === undefined) throw noTopUp(topUp);
      if (row.status === 'paid') return topUpOf(row);
      await payTopUp(client, environmentId, row, body.reference ?? null, services.clocks.now(environmentId));
      await noteAnswer(client, environmentId, principal.keyId, row, 'top_up.paid');
      return topUpNow(client, place, topUp);
    },
  );
}

function registerFailed(app: App, services: AppServices): void {
  writeRoute(
    app,
    services,
    {
      method: 'post',
      path: '/v1/customers/{id}/wallets/{wallet}/top_ups/{top_up}/failed',
      operationId: 'failTopUp',
      tag,
      scope: 'billing:write',
      summary: 'Say that a top-up was not paid',
      description: 'The same answer again changes nothing. One that was paid is taken back by voiding its grant.',
      params: topUpParams,
      body: failedBody,
      isBodyOptional: true,
      answer: topUpAnswer,
      problems: ['not_found', 'conflict'],
    },
    async ({ client, environmentId, principal, params: { id, wallet, top_up: topUp }, body }) => {
      const place = { environmentId, customerId: await customerIdOf(client, environmentId, id), wallet };
      const row = await findTopUp(client, place, topUp, { isLocked: true });
      if (row === undefined) throw noTopUp(topUp);
      if (row.status === 'failed') return topUpOf(row);
      if (row.status === 'paid') {
        throw refuse('conflict', `the top-up ${topUp} was paid; void its grant ${row.grant_id} to take it back`);
      }
      await failTopUp(client, environmentId, row, body.reason, services.clocks.now(environmentId));
      await noteAnswer(client, environmentId, principal.keyId, row, 'top_up.failed');
      return topUpNow(client, place, topUp);
    },
  );
}

type Place = { readonly environmentId: number; readonly customerId: bigint; readonly wallet: string };

async function topUpNow(client: Client, place: Place, id: string) {
  const row = await findTopUp(client, place, id, { isLocked: false });
  if (row === undefined) throw new Error('the top-up is gone');
  return topUpOf(row);
}

async function noteAnswer(
  client: Client,
  environmentId: number,
  actor: string,
  row: TopUpRow,
  action: string,
): Promise<void> {
  const target = `${walletTarget(row.customer, row.wallet)}/top_ups/${row.id}`;
  await recordAction(client, { environmentId, actor, action, target, detail: { amount: row.amount } });
}

function noTopUp(id: string) {
  return refuse('not_found', `the wallet has no top-up ${id}`);
}
