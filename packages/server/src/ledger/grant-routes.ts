import { currency } from '@ergon/exact';
import { findOrCreateCustomer } from '../catalog/index.ts';
import type { AppServices } from '../http/context.ts';
import { cursorAfter, cursorNumber, page } from '../http/cursor.ts';
import { type App, readRoute, writeRoute } from '../http/operation.ts';
import { refuse } from '../http/problem.ts';
import { instantMicros, pageOf, pageQuery, readAmount } from '../http/wire.ts';
import { recordAction } from '../store/audit-log.ts';
import { createGrant, voidGrant } from './grant-service.ts';
import { grantAnswer, grantBody, grantOf, grantParams, walletParams } from './schemas.ts';
import { customerIdOf, noWallet, otherCurrency, walletTarget } from './wallet-routes.ts';
import { ensureWallet, findGrant, listGrants, walletCurrency } from './wallet-store.ts';

const tag = 'Wallets';

export function registerGrantRoutes(app: App, services: AppServices): void {
  const { pool } = services.database;
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/customers/{id}/wallets/{wallet}/grants',
      operationId: 'listGrants',
      tag,
      scope: 'billing:read',
      summary: 'List grants',
      description: 'Newest first.',
      params: walletParams,
      query: pageQuery,
      answer: pageOf(grantAnswer),
      problems: ['not_found'],
    },
    async ({ environmentId, params: { id, wallet }, query: { limit, cursor } }) => {
      const customerId = await customerIdOf(pool, environmentId, id);
      if ((await walletCurrency(pool, environmentId, customerId, wallet)) === undefined) throw noWallet(wallet);
      const before = cursorNumber('grants', cursor);
      const rows = await listGrants(pool, environmentId, customerId, wallet, { before, limit: limit + 1 });
      const now = services.clocks.now(environmentId);
      return page(
        rows,
        limit,
        (row) => grantOf(row, now),
        (row) => cursorAfter('grants', row.id),
      );
    },
  );
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/customers/{id}/wallets/{wallet}/grants/{grant}',
      operationId: 'getGrant',
      tag,
      scope: 'billing:read',
      summary: 'Get a grant',
      params: grantParams,
      answer: grantAnswer,
      problems: ['not_found'],
    },
    async ({ environmentId, params: { id, wallet, grant } }) => {
      const customerId = await customerIdOf(pool, environmentId, id);
      const row = await findGrant(pool, environmentId, customerId, wallet, grant);
      if (row === undefined) throw noGrant(grant);
      return grantOf(row, services.clocks.now(environmentId));
    },
  );
  registerCreateGrant(app, services);
  registerVoidGrant(app, services);
}

function registerCreateGrant(app: App, services: AppServices): void {
  writeRoute(
    app,
    services,
    {
      method: 'post',
      path: '/v1/customers/{id}/wallets/{wallet}/grants',
      operationId: 'createGrant',
      tag,
      scope: 'billing:write',
      summary: 'Grant an amount',
      description:
        'Usage burns grants before it becomes a receivable: lowest priority first, then the earliest expiry, promotional before paid. Creates the customer and the wallet when they are not known. Send an Idempotency-Key: a grant remembers its key for ever.',
      status: 201,
      params: walletParams,
      body: grantBody,
      answer: grantAnswer,
    },
    async ({ client, environmentId, principal, idempotencyKey, params: { id, wallet }, body }) => {
      const now = services.clocks.now(environmentId);
      const amount = readAmount(body.amount);
      if (amount === undefined) throw new Error('the schema let an amount pass that is none');
      const effectiveAt = optionalMicros(body.effective_at) ?? now;
      const expiresAt = optionalMicros(body.expires_at);
      checkValidity(effectiveAt, expiresAt, now);
      const customer = await findOrCreateCustomer(client, environmentId, id);
      const found = await ensureWallet(client, environmentId, customer.id, { key: wallet, currency: body.currency });
      if (found !== body.currency) throw otherCurrency(wallet, found);
      const grant = await createGrant(client, {
        environmentId,
        customerId: customer.id,
        wallet,
        currency: currency(body.currency),
        amount,
        kind: body.kind,
        priority: body.priority ?? null,
        effectiveAt,
        expiresAt,
        eligibility: body.eligibility,
        idempotencyKey,
        costBasis: body.cost_basis && { amount: String(body.cost_basis.amount), currency: body.cost_basis.currency },
      });
      const answer = grantOf(grant, now);
      await recordAction(client, {
        environmentId,
        actor: principal.keyId,
        action: 'grant.create',
        target: `${walletTarget(id, wallet)}/grants/${grant.id}`,
        detail: { amount: answer.amount, currency: answer.currency, kind: answer.kind },
      });
      return answer;
    },
  );
}

function registerVoidGrant(app: App, services: AppServices): void {
  writeRoute(
    app,
    services,
    {
      method: 'delete',
      path: '/v1/customers/{id}/wallets/{wallet}/grants/{grant}',
      operationId: 'voidGrant',
      tag,
      scope: 'billing:write',
      summary: 'Void a grant',
      description: 'Ends it now: what is left goes back where it came from; what usage has burnt stays burnt.',
      params: grantParams,
      answer: grantAnswer,
      problems: ['not_found'],
    },
    async ({ client, environmentId, principal, params: { id, wallet, grant } }) => {
      const customerId = await customerIdOf(client, environmentId, id);
      const now = services.clocks.now(environmentId);
      const voided = await voidGrant(client, { environmentId, customerId, wallet, id: grant }, now);
      if (voided === undefined) throw noGrant(grant);
      await recordAction(client, {
        environmentId,
        actor: principal.keyId,
        action: 'grant.void',
        target: `${walletTarget(id, wallet)}/grants/${grant}`,
        detail: { taken_back: voided.takenBack, currency: voided.grant.currency, expired_at: voided.expiredAt },
      });
      return grantOf(voided.grant, now);
    },
  );
}

function optionalMicros(text: string | null | undefined): number | null {
  return text === null || text === undefined ? null : instantMicros(text);
}

function checkValidity(effectiveAt: number, expiresAt: number | null, now: number): void {
  if (expiresAt === null) return;
  if (expiresAt > effectiveAt && expiresAt > now) return;
  throw refuse('invalid_request', 'the grant would never be in force', [
    {
      pointer: '/expires_at',
      detail: expiresAt <= effectiveAt ? 'not after effective_at' : 'has passed already',
      remedy: 'name an instant to come, after effective_at; or leave it out',
    },
  ]);
}

function noGrant(id: string) {
  return refuse('not_found', `the wallet has no grant ${id}`);
}
