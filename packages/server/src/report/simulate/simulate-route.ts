import { absolute, compare, type Decimal, subtract, sum, toText } from '@ergon/exact';
import { compileRateCard } from '@ergon/rating';
import { z } from '@hono/zod-openapi';
import { findRateCard } from '../../catalog/index.ts';
import type { AppServices } from '../../http/context.ts';
import { Gate } from '../../http/gate.ts';
import type { App } from '../../http/operation.ts';
import { progressRoute, type Watch } from '../../http/progress-route.ts';
import { ProblemError, refuse } from '../../http/problem.ts';
import { catalogKey, decimalOutput, externalId } from '../../http/wire.ts';
import { LIMITS } from '../../limits.ts';
import type { SimulationProgress } from './simulate-from-events.ts';
import { methodsOfMeters, simulate, type SimulatedCard, type Simulation, type SimulationQuestion } from './simulate.ts';

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
    method: z.enum(['running_totals', 'summed_usage', 'events']).openapi({
      description:
        'What was read: running totals, where the card divides usage as the cards in force did; else usage summed by dimensions; else single events',
    }),
    reason: z.string().optional().openapi({ description: 'Why single events had to be read' }),
    meters: z.array(
      z.strictObject({
        meter: z.string(),
        method: z.enum(['running_totals', 'summed_usage', 'grouped_events', 'ordered_events']).openapi({
          description: 'Grouped events are priced in any order, equal ones once; ordered ones one after another',
        }),
      }),
    ),
    requests: decimalOutput.nullable().openapi({ description: 'Requests behind it; null where they were not summed' }),
    events: decimalOutput.nullable().openapi({ description: 'Single events priced; null where none was read' }),
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
  const gate = new Gate(LIMITS.simulationsAtOnce);
  progressRoute(
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
        'What each customer was charged in the billing periods that began in the month, and would have been under the card: its latest version, or the one in `card`. Reads only. Charges while the periods run are compared; what falls due only at a close is in neither figure. With `Accept: text/event-stream` (events `progress`, `result`, `problem`) or `application/x-ndjson` (the same as members) it tells how far it is.',
      params: z.strictObject({ key: catalogKey }),
      body,
      answer,
      problems: ['not_found', 'invalid_catalog', 'too_slow'],
    },
    async ({ environmentId, params: { key }, body: { month, customer, card: own } }, watch) => {
      const published = own === undefined ? await findRateCard(services.database.pool, environmentId, key) : undefined;
      if (own === undefined && published === undefined) throw refuse('not_found', `there is no rate card ${key}`);
      const simulated = compiledCard(own ?? published?.spec);
      const question = { environmentId, month, customer };
      const result = await gate.through(() => inSnapshot(services, question, simulated, watch));
      return { card: key, version: published?.version ?? null, month, ...described(simulated, result) };
    },
  );
}

function compiledCard(document: unknown): SimulatedCard {
  const compiled = compileRateCard(document);
  if (!compiled.ok) {
    const errors = compiled.errors.map((error) => ({ ...error, pointer: `/card${error.pointer}` }));
    throw refuse('invalid_catalog', 'the card is not valid', errors);
  }
  const { prices } = document as { readonly prices: readonly unknown[] };
  return { card: compiled.value, prices, document };
}

/** One snapshot for old and new: what is recorded meanwhile is in neither. */
async function inSnapshot(
  { database }: AppServices,
  question: SimulationQuestion,
  simulated: SimulatedCard,
  watch: Watch,
): Promise<Extract<Simulation, { readonly ok: true }>> {
  const timeout = AbortSignal.timeout(LIMITS.simulationMs);
  const signal = AbortSignal.any([watch.signal, timeout]);
  const startedAt = performance.now();
  const onProgress = (progress: SimulationProgress): void => watch.onProgress(wireProgress(progress, startedAt));
  try {
    const result = await database.transaction(async (client) => {
      await client.query('set transaction isolation level repeatable read, read only');
      return simulate(client, question, simulated, { signal, onProgress });
    });
    if (result.ok) return result;
    throw refuse('invalid_request', `the simulation would keep too many ${result.tooMany} in memory`, [
      { pointer: '/customer', detail: `too many ${result.tooMany}`, remedy: 'simulate one customer at a time' },
    ]);
  } catch (error) {
    if (!signal.aborted || error instanceof ProblemError) throw error;
    const detail = timeout.aborted
      ? 'the simulation took too long; ask for one customer'
      : 'nobody waited for the answer';
    throw new ProblemError({ code: 'too_slow', detail, retryAfterSeconds: 1 });
  }
}

function wireProgress(progress: SimulationProgress, startedAt: number): Readonly<Record<string, number>> {
  const seconds = (performance.now() - startedAt) / 1000;
  return {
    customers_done: progress.customersDone,
    customers_total: progress.customersTotal,
    events_done: progress.eventsDone,
    events_total: progress.eventsTotal,
    events_per_second: Math.round(progress.eventsDone / Math.max(seconds, 0.001)),
  };
}

function described(simulated: SimulatedCard, result: Extract<Simulation, { readonly ok: true }>) {
  const customers = result.customers
    .map((one) => ({ ...one, difference: subtract(one.new, one.old) }))
    .toSorted((a, b) => compare(absolute(b.difference), absolute(a.difference)) || (a.customer < b.customer ? -1 : 1));
  const total = (read: (one: (typeof customers)[number]) => Decimal): string => toText(sum(customers.map(read)));
  return {
    currency: simulated.card.currency,
    method: result.method,
    ...(result.reason !== undefined && { reason: result.reason }),
    meters: methodsOfMeters(simulated, result.method),
    requests: result.requests === null ? null : String(result.requests),
    events: result.events === null ? null : String(result.events),
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
}
