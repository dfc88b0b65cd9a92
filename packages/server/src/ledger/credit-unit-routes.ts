import { compare, decimal, parseDecimal, toText, ZERO, isCreditUnit } from '@ergon/exact';
import { z } from '@hono/zod-openapi';
import type { AppServices } from '../http/context.ts';
import { type App, readRoute, writeRoute } from '../http/operation.ts';
import { refuse } from '../http/problem.ts';
import { currencyCode, decimalOutput, instantOutput, instantText, pageOf } from '../http/wire.ts';
import { LIMITS } from '../limits.ts';
import { recordAction } from '../store/audit-log.ts';
import { type CreditUnitRow, findCreditUnit, listCreditUnits, putCreditUnit } from './credit-unit-store.ts';
import { decimalText } from './schemas.ts';

const tag = 'Wallets';

const params = z.strictObject({
  key: currencyCode.refine(isCreditUnit, 'a credit unit is credit:<name>'),
});

const RATE_PLACES = 18;
const body = z
  .strictObject({
    currency: currencyCode.refine((code) => !isCreditUnit(code), 'the currency of money'),
    rate: z
      .union([z.string().max(64), z.number()], { error: 'send a decimal as text, such as "0.01"' })
      .refine((value) => {
        const rate = parseDecimal(String(value));
        return (
          rate !== undefined &&
          compare(rate, ZERO) > 0 &&
          rate.scale <= RATE_PLACES &&
          compare(rate, decimal('1e12')) < 0
        );
      }, `must be a decimal above zero with at most ${RATE_PLACES} digits after the point`)
      .openapi({ description: 'What one credit is worth', example: '0.01' }),
  })
  .openapi('CreditUnitRequest');

const answer = z
  .strictObject({ key: z.string(), currency: z.string(), rate: decimalOutput, updated_at: instantOutput })
  .openapi('CreditUnit');

function unitOf(row: CreditUnitRow): z.infer<typeof answer> {
  return { key: row.key, currency: row.currency, rate: decimalText(row.rate), updated_at: instantText(row.updated_at) };
}

/** What credits are worth: the price of their top-ups, and the value that wallets show. */
export function registerCreditUnitRoutes(app: App, services: AppServices): void {
  const { pool } = services.database;
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/credit_units',
      operationId: 'listCreditUnits',
      tag,
      scope: 'billing:read',
      summary: 'List credit units',
      description: 'All on one page.',
      answer: pageOf(answer),
    },
    async ({ environmentId }) => ({
      data: (await listCreditUnits(pool, environmentId)).map(unitOf),
      next_cursor: null,
    }),
  );
  writeRoute(
    app,
    services,
    {
      method: 'put',
      path: '/v1/credit_units/{key}',
      operationId: 'putCreditUnit',
      tag,
      scope: 'catalog:write',
      summary: 'Say what a credit is worth',
      description:
        'The rate prices later top-ups; grants keep the cost basis they were bought at. Usage priced in credits burns credits: nothing is converted when it is rated.',
      params,
      body,
      answer,
    },
    async ({ client, environmentId, principal, params: { key }, body: { currency, rate } }) => {
      const known = await findCreditUnit(client, environmentId, key);
      if (known === undefined && (await listCreditUnits(client, environmentId)).length >= LIMITS.creditUnitsMax) {
        throw refuse('conflict', `an environment has at most ${LIMITS.creditUnitsMax} credit units`);
      }
      const text = toText(decimal(String(rate)));
      const row = await putCreditUnit(
        client,
        environmentId,
        { key, currency, rate: text },
        services.clocks.now(environmentId),
      );
      await recordAction(client, {
        environmentId,
        actor: principal.keyId,
        action: 'credit_unit.put',
        target: `/v1/credit_units/${key}`,
        detail: { currency, rate: text, previous_rate: known?.rate ?? null },
      });
      return unitOf(row);
    },
  );
}
