import { absolute, compare, type Decimal, subtract, sum, toText } from '@ergon/exact';
import { compileRateCard } from '@ergon/rating';
import { z } from '@hono/zod-openapi';
import { findRateCard } from '../../catalog/index.ts';
import type { AppServices } from '../../http/context.ts';
import { type App, readRoute } from '../../http/operation.ts';
import { refuse } from '../../http/problem.ts';
import { catalogKey, decimalOutput, externalId } from '../../http/wire.ts';
import { LIMITS } from '../../limits.ts';
import { simulate } from './simulate.ts';

const body = z
  .strictObject({
    month: z
      .string()
      .regex(/^20\d\d-(0[1-9]|1[0-2])$/, 'a month, such as 2026-11')
      .openapi({ example: '2026-11' }),
    customer: externalId.optional(),
    card: z.record(z.string(), z.unknown()).optional().openapi({
      description: 'A rate card that is not published, instead of the one of the path',
    }),
  })
  .openapi('SimulateRequest');

const money = { old: decimalOutput, new: decimalOutput, difference: decimalOutput };

const answer = z
  .strictObject({
    card: z.string(),
    version: z.int().nullable().openapi({ description: 'Null for a card that is not published' }),
    month: z.string(),
    currency: z.string(),
    method: z.enum(['running_totals', 'summed_usage']).openapi({
      description:
        'What was read: running totals, where the card divides usage as the cards in force did; else usage summed by dimensions',
    }),
    requests: decimalOutput.nullable().openapi({ description: 'Requests behind it; null where only totals were read' }),
    totals: z.strictObject({ ...money, customers: z.int() }),
    customers: z.array(z.strictObject({ customer: z.string(), ...money })).openapi({
      description: `The largest difference first, at most ${LIMITS.simulatedCustomersMax}`,
    }),
    unrated: z.array(z.strictObject({ meter: z.string(), quantity: decimalOutput })).openapi({
      description: 'Tokens that the card has no price for',
    }),
  })
  .openapi('Simulation');

/** `POST /v1/rate_cards/{key}/simulate`. */
export function registerSimulateRoute(app: App, services: AppServices): void {
  readRoute(
    app,
    services,
    {
      method: 'post',
      path: '/v1/rate_cards/{key}/simulate',
      operationId: 'simulateRateCard',
      tag: 'Catalog',
      scope: 'billing:read',
      summary: "Price a month's real usage under another card",
      description:
        'What each customer was charged in the calendar month of their zone, and would have been under the card: its latest version, or the one in `card`. Reads only. Charges while the month runs are compared; what falls due only at a close is in neither figure.',
      params: z.strictObject({ key: catalogKey }),
      body,
      answer,
      problems: ['not_found', 'invalid_catalog'],
    },
    async ({ environmentId, params: { key }, body: { month, customer, card: own } }) => {
      const { pool } = services.database;
      const published = own === undefined ? await findRateCard(pool, environmentId, key) : undefined;
      if (own === undefined && published === undefined) throw refuse('not_found', `there is no rate card ${key}`);
      const spec = own ?? published?.spec;
      const compiled = compileRateCard(spec);
      if (!compiled.ok) {
        const errors = compiled.errors.map((error) => ({ ...error, pointer: `/card${error.pointer}` }));
        throw refuse('invalid_catalog', 'the card is not valid', errors);
      }
      const prices = (spec as { readonly prices: readonly unknown[] }).prices;
      const result = await simulate(pool, environmentId, month, customer, { card: compiled.value, prices });
      if (!result.ok) {
        throw refuse('invalid_request', `the card needs single events, which are not simulated: ${result.reason}`, [
          { pointer: '/card', detail: result.reason, remedy: 'simulate a card whose prices follow from sums of usage' },
        ]);
      }
      const customers = result.customers
        .map((one) => ({ ...one, difference: subtract(one.new, one.old) }))
        .toSorted(
          (a, b) => compare(absolute(b.difference), absolute(a.difference)) || (a.customer < b.customer ? -1 : 1),
        );
      const total = (read: (one: (typeof customers)[number]) => Decimal): string => toText(sum(customers.map(read)));
      return {
        card: key,
        version: published?.version ?? null,
        month,
        currency: compiled.value.currency,
        method: result.method,
        requests: result.requests === null ? null : String(result.requests),
        totals: {
          old: total((one) => one.old),
          new: total((one) => one.new),
          difference: total((one) => one.difference),
          customers: customers.length,
        },
        customers: customers.slice(0, LIMITS.simulatedCustomersMax).map((one) => ({
          customer: one.customer,
          old: toText(one.old),
          new: toText(one.new),
          difference: toText(one.difference),
        })),
        unrated: [...result.unrated].map(([meter, quantity]) => ({ meter, quantity: toText(quantity) })),
      };
    },
  );
}
