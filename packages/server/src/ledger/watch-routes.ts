import { toText } from '@ergon/exact';
import { z } from '@hono/zod-openapi';
import type { AppServices } from '../http/context.ts';
import { type App, readRoute, writeRoute } from '../http/operation.ts';
import { instantText, readAmount } from '../http/wire.ts';
import { recordAction } from '../store/audit-log.ts';
import type { Queryable } from '../store/database.ts';
import { decimalText, walletParams } from './schemas.ts';
import { topUpPrice } from './top-up-service.ts';
import { customerIdOf, noWallet, walletTarget } from './wallet-routes.ts';
import { walletCurrency } from './wallet-store.ts';
import { alertsAnswer, alertsBody, autoTopUpAnswer, topUpRule } from './watch-schemas.ts';
import { listAlerts, setAlerts, setTopUpRule, topUpRuleOf } from './watch-store.ts';

const tag = 'Wallets';

/** What a wallet does by itself: its automatic top-up and its alerts. */
export function registerWatchRoutes(app: App, services: AppServices): void {
  const { pool } = services.database;
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/customers/{id}/wallets/{wallet}/auto_top_up',
      operationId: 'getAutoTopUp',
      tag,
      scope: 'billing:read',
      summary: 'Get the automatic top-up of a wallet',
      params: walletParams,
      answer: autoTopUpAnswer,
      problems: ['not_found'],
    },
    async ({ environmentId, params: { id, wallet } }) => {
      const place = await placeOf(pool, environmentId, id, wallet);
      return { auto_top_up: await topUpRuleOf(pool, place) };
    },
  );
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/customers/{id}/wallets/{wallet}/alerts',
      operationId: 'getWalletAlerts',
      tag,
      scope: 'billing:read',
      summary: 'Get the alerts of a wallet',
      params: walletParams,
      answer: alertsAnswer,
      problems: ['not_found'],
    },
    async ({ environmentId, params: { id, wallet } }) =>
      alertsNow(pool, await placeOf(pool, environmentId, id, wallet)),
  );
  registerPutRule(app, services);
  registerDeleteRule(app, services);
  registerPutAlerts(app, services);
}

function registerPutRule(app: App, services: AppServices): void {
  writeRoute(
    app,
    services,
    {
      method: 'put',
      path: '/v1/customers/{id}/wallets/{wallet}/auto_top_up',
      operationId: 'putAutoTopUp',
      tag,
      scope: 'billing:write',
      summary: 'Top a wallet up automatically',
      description:
        'By threshold, by schedule, or both; within a cap. At most one top-up by threshold is pending, and a scheduled instant tops up once, however many servers look.',
      params: walletParams,
      body: topUpRule,
      answer: autoTopUpAnswer,
      problems: ['not_found', 'conflict'],
    },
    async ({ client, environmentId, principal, params: { id, wallet }, body }) => {
      const place = await placeOf(client, environmentId, id, wallet);
      // One that has no price is refused now, not at each look of the job.
      await topUpPrice(client, environmentId, place.currency, String(body.amount));
      await setTopUpRule(client, place, body, services.clocks.now(environmentId));
      await recordAction(client, {
        environmentId,
        actor: principal.keyId,
        action: 'auto_top_up.put',
        target: `${walletTarget(id, wallet)}/auto_top_up`,
        detail: body,
      });
      return { auto_top_up: body };
    },
  );
}

function registerDeleteRule(app: App, services: AppServices): void {
  writeRoute(
    app,
    services,
    {
      method: 'delete',
      path: '/v1/customers/{id}/wallets/{wallet}/auto_top_up',
      operationId: 'deleteAutoTopUp',
      tag,
      scope: 'billing:write',
      summary: 'Stop topping a wallet up',
      description: 'What is pending stays pending.',
      status: 204,
      params: walletParams,
      answer: z.null(),
      problems: ['not_found'],
    },
    async ({ client, environmentId, principal, params: { id, wallet } }) => {
      const place = await placeOf(client, environmentId, id, wallet);
      await setTopUpRule(client, place, null, services.clocks.now(environmentId));
      await recordAction(client, {
        environmentId,
        actor: principal.keyId,
        action: 'auto_top_up.delete',
        target: `${walletTarget(id, wallet)}/auto_top_up`,
      });
      return null;
    },
  );
}

function registerPutAlerts(app: App, services: AppServices): void {
  writeRoute(
    app,
    services,
    {
      method: 'put',
      path: '/v1/customers/{id}/wallets/{wallet}/alerts',
      operationId: 'putWalletAlerts',
      tag,
      scope: 'billing:write',
      summary: 'Set the alerts of a wallet',
      description:
        'Levels of what is available, and of the hours the forecast gives it. Crossing one tells `wallet.balance_low` once; rising above it arms it again. A level that stays keeps its state.',
      params: walletParams,
      body: alertsBody,
      answer: alertsAnswer,
      problems: ['not_found'],
    },
    async ({ client, environmentId, principal, params: { id, wallet }, body }) => {
      const place = await placeOf(client, environmentId, id, wallet);
      const levels = [
        ...body.amounts.map((level) => ({ kind: 'amount', level: levelText(level) })),
        ...body.hours_left.map((level) => ({ kind: 'hours_left', level: levelText(level) })),
      ];
      await setAlerts(client, place, levels, services.clocks.now(environmentId));
      await recordAction(client, {
        environmentId,
        actor: principal.keyId,
        action: 'wallet_alerts.put',
        target: `${walletTarget(id, wallet)}/alerts`,
        detail: body,
      });
      return alertsNow(client, place);
    },
  );
}

type Place = {
  readonly environmentId: number;
  readonly customerId: bigint;
  readonly wallet: string;
  readonly currency: string;
};

async function placeOf(db: Queryable, environmentId: number, id: string, wallet: string): Promise<Place> {
  const customerId = await customerIdOf(db, environmentId, id);
  const currency = await walletCurrency(db, environmentId, customerId, wallet);
  if (currency === undefined) throw noWallet(wallet);
  return { environmentId, customerId, wallet, currency };
}

async function alertsNow(db: Queryable, place: Place): Promise<z.infer<typeof alertsAnswer>> {
  const rows = await listAlerts(db, place);
  return {
    data: rows.map((row) => ({
      kind: row.kind,
      level: decimalText(row.level),
      is_below: row.is_below,
      crossings: row.crossings,
      changed_at: instantText(row.changed_at),
    })),
  };
}

function levelText(value: string | number): string {
  const level = readAmount(value);
  if (level === undefined) throw new Error('the schema let a level pass that is none');
  return toText(level);
}
