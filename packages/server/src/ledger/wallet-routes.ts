import { decimal, multiply, roundAmount, toText, isCreditUnit } from '@ergon/exact';
import { findCustomer, findOrCreateCustomer } from '../catalog/index.ts';
import { formatInstant, microsFromPostgres } from '../event/instant.ts';
import type { AppServices } from '../http/context.ts';
import { cursorAfter, cursorNumber, page } from '../http/cursor.ts';
import { type App, readRoute, writeRoute } from '../http/operation.ts';
import { refuse } from '../http/problem.ts';
import { pageOf, pageQuery } from '../http/wire.ts';
import { LIMITS } from '../limits.ts';
import { recordAction } from '../store/audit-log.ts';
import type { Queryable } from '../store/database.ts';
import { burnRate, forecastOf } from './burn-rate.ts';
import { findCreditUnit } from './credit-unit-store.ts';
import { describeEntry, meterNames } from './describe-entry.ts';
import { listEntries } from './posting-store.ts';
import {
  customerParams,
  decimalText,
  entryAnswer,
  grantOf,
  walletAnswer,
  walletBody,
  walletOf,
  walletParams,
  walletSummary,
} from './schemas.ts';
import { incomingOf } from './top-up-store.ts';
import { ensureWallet, listWallets, readWallet, type WalletRow, walletCurrency } from './wallet-store.ts';

const tag = 'Wallets';

export function registerWalletRoutes(app: App, services: AppServices): void {
  const { pool } = services.database;
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/customers/{id}/wallets',
      operationId: 'listWallets',
      tag,
      scope: 'billing:read',
      summary: "List a customer's wallets",
      description: 'With their balances, without their grants. All on one page.',
      params: customerParams,
      answer: pageOf(walletSummary),
      problems: ['not_found'],
    },
    async ({ environmentId, params: { id } }) => {
      const customerId = await customerIdOf(pool, environmentId, id);
      const rows = await listWallets(
        pool,
        environmentId,
        customerId,
        formatInstant(services.clocks.now(environmentId)),
      );
      return { data: rows.map(walletOf), next_cursor: null };
    },
  );
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/customers/{id}/wallets/{wallet}',
      operationId: 'getWallet',
      tag,
      scope: 'billing:read',
      summary: 'Get a wallet',
      description: 'Balances and grants as of one instant.',
      params: walletParams,
      answer: walletAnswer,
      problems: ['not_found'],
    },
    async ({ environmentId, params: { id, wallet } }) => {
      const customerId = await customerIdOf(pool, environmentId, id);
      return walletNow(services, pool, { environmentId, customerId, wallet });
    },
  );
  registerWalletPut(app, services);
  registerEntries(app, services);
}

function registerWalletPut(app: App, services: AppServices): void {
  writeRoute(
    app,
    services,
    {
      method: 'put',
      path: '/v1/customers/{id}/wallets/{wallet}',
      operationId: 'putWallet',
      tag,
      scope: 'billing:write',
      summary: 'Create a wallet',
      description: 'Creates the customer when it is not known. A wallet never changes its currency.',
      params: walletParams,
      body: walletBody,
      answer: walletAnswer,
    },
    async ({ client, environmentId, principal, params: { id, wallet }, body }) => {
      const customer = await findOrCreateCustomer(client, environmentId, id);
      const found = await ensureWallet(client, environmentId, customer.id, { key: wallet, currency: body.currency });
      if (found !== body.currency) throw otherCurrency(wallet, found);
      await recordAction(client, {
        environmentId,
        actor: principal.keyId,
        action: 'wallet.put',
        target: walletTarget(id, wallet),
        detail: { currency: body.currency },
      });
      return walletNow(services, client, { environmentId, customerId: customer.id, wallet });
    },
  );
}

function registerEntries(app: App, services: AppServices): void {
  const { pool } = services.database;
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/customers/{id}/wallets/{wallet}/entries',
      operationId: 'listEntries',
      tag,
      scope: 'billing:read',
      summary: 'List the ledger entries of a wallet',
      description:
        'Newest first. Each moves one amount from the debit account to the credit account and is never edited. The postings of the customer’s receivable and credit in this currency are listed with every wallet of it.',
      params: walletParams,
      query: pageQuery,
      answer: pageOf(entryAnswer),
      problems: ['not_found'],
    },
    async ({ environmentId, params: { id, wallet }, query: { limit, cursor } }) => {
      const customerId = await customerIdOf(pool, environmentId, id);
      const currency = await walletCurrency(pool, environmentId, customerId, wallet);
      if (currency === undefined) throw noWallet(wallet);
      const before = cursorNumber('entries', cursor);
      const named = { key: wallet, currency };
      const rows = await listEntries(pool, environmentId, customerId, named, { before, limit: limit + 1 });
      const meters = await meterNames(pool, environmentId, rows);
      return page(
        rows,
        limit,
        (row) => describeEntry(row, meters),
        (row) => cursorAfter('entries', row.id),
      );
    },
  );
}

async function walletNow(
  services: AppServices,
  db: Queryable,
  at: { environmentId: number; customerId: bigint; wallet: string },
) {
  const now = services.clocks.now(at.environmentId);
  const row = await readWallet(db, at.environmentId, at.customerId, at.wallet, {
    now: formatInstant(now),
    grantsMax: LIMITS.pageSizeMax,
  });
  if (row === undefined) throw noWallet(at.wallet);
  const { environmentId, customerId } = at;
  const since = microsFromPostgres(row.created_at);
  const rate = await burnRate(db, { environmentId, customerId, currency: row.currency, since }, now);
  const forecast = forecastOf(decimal(row.available), rate, now);
  return {
    ...walletOf(row),
    incoming: decimalText(await incomingOf(db, at)),
    value: await valueOf(db, environmentId, row),
    forecast: {
      burn_per_hour: forecast.burnPerHour,
      observed_hours: forecast.observedHours,
      hours_left: forecast.hoursLeft,
      empty_at: forecast.emptyAt === null ? null : formatInstant(forecast.emptyAt),
    },
    grants: row.grants.map((grant) => grantOf(grant, now)),
  };
}

/** What a credit wallet's available amount is worth in money. */
async function valueOf(db: Queryable, environmentId: number, row: WalletRow) {
  const unit = isCreditUnit(row.currency) ? await findCreditUnit(db, environmentId, row.currency) : undefined;
  if (unit === undefined) return null;
  const available = toText(roundAmount(multiply(decimal(row.available), decimal(unit.rate))));
  return { available, currency: unit.currency, rate: decimalText(unit.rate) };
}

/** The customer's number, or the problem that it is not there (or not in this environment). */
export async function customerIdOf(db: Queryable, environmentId: number, externalId: string): Promise<bigint> {
  const row = await findCustomer(db, environmentId, externalId);
  if (row === undefined) throw refuse('not_found', `there is no customer ${externalId}`);
  return row.id;
}

export function noWallet(wallet: string) {
  return refuse('not_found', `the customer has no wallet ${wallet}`);
}

export function otherCurrency(wallet: string, currency: string) {
  return refuse('conflict', `the wallet ${wallet} is in ${currency}`, [
    { pointer: '/currency', detail: `the wallet is in ${currency}`, remedy: 'use a wallet of another name for it' },
  ]);
}

export function walletTarget(customer: string, wallet: string): string {
  return `/v1/customers/${encodeURIComponent(customer)}/wallets/${wallet}`;
}
