import { decimal, subtract, toText } from '@ergon/exact';
import { z } from '@hono/zod-openapi';
import { builtInMeter } from '../catalog/built-in-meters.ts';
import { findCustomer, listMeters, requestRerate } from '../catalog/index.ts';
import type { AppServices } from '../http/context.ts';
import { cursorAfter, cursorNumber, cursorPosition, page } from '../http/cursor.ts';
import { type App, readRoute, writeRoute } from '../http/operation.ts';
import { refuse } from '../http/problem.ts';
import {
  catalogKey,
  decimalOutput,
  externalId,
  instantInput,
  instantMicros,
  instantOrNull,
  instantOutput,
  instantText,
  pageOf,
  pageQuery,
} from '../http/wire.ts';
import { LIMITS } from '../limits.ts';
import { recordAction } from '../store/audit-log.ts';
import type { Client, Queryable } from '../store/database.ts';
import {
  type ChargeRow,
  countOpen,
  findRerate,
  listCharges,
  listRerates,
  type RerateRow,
  totalCharges,
} from './rerate-store.ts';

const body = z
  .strictObject({
    customer: externalId.optional().openapi({ description: 'Left out: every customer' }),
    from: instantInput.openapi({ description: 'Event time, inclusive' }),
    to: instantInput.openapi({ description: 'Event time, exclusive' }),
    meters: z.array(catalogKey).min(1).max(100).optional().openapi({
      description: 'Only events with usage of one of these; such an event is re-rated as a whole',
    }),
    only: z.enum(['unrated', 'all']).default('unrated').openapi({
      description:
        '`unrated`: rates what has no price and leaves every charge. `all`: rates everything by the catalog as it is now',
    }),
    dry_run: z.boolean().default(false).openapi({ description: 'Answers what it would come to, and changes nothing' }),
  })
  .openapi('RerateRequest');

const totals = {
  currency: z.string(),
  old: decimalOutput.openapi({ description: 'What the adjusted events were charged before' }),
  new: decimalOutput.openapi({ description: 'What they are charged now' }),
  difference: decimalOutput,
};

const rerateAnswer = z
  .strictObject({
    id: z.string(),
    status: z.enum(['running', 'finished', 'failed']),
    customer: z
      .string()
      .nullable()
      .openapi({ description: 'Null: every customer, or the several of an automatic one' }),
    from: instantOutput,
    to: instantOutput,
    meters: z.array(z.string()).nullable(),
    only: z.enum(['unrated', 'all']),
    dry_run: z.boolean(),
    automatic: z.boolean().openapi({ description: 'Asked for by a change of the catalog that made usage priceable' }),
    requested_at: instantOutput,
    finished_at: instantOutput.nullable(),
    failure: z.string().nullable(),
    events_examined: decimalOutput,
    events_adjusted: decimalOutput,
    totals: z.array(z.strictObject({ ...totals, customers: decimalOutput })),
  })
  .openapi('Rerate');

const chargeAnswer = z.strictObject({ customer: z.string(), ...totals, events: decimalOutput }).openapi('RerateCharge');

const params = z.strictObject({ id: z.string().regex(/^[1-9]\d{0,17}$/, 'not the id of a re-rating') });
const tag = 'Catalog';

export function registerRerateRoutes(app: App, services: AppServices, wake: () => void): void {
  registerRerate(app, services, wake);
  registerReading(app, services);
}

function registerRerate(app: App, services: AppServices, wake: () => void): void {
  writeRoute(
    app,
    services,
    {
      method: 'post',
      path: '/v1/rerate',
      operationId: 'rerate',
      tag,
      scope: 'catalog:write',
      status: 201,
      summary: 'Re-rate usage',
      description:
        'Rates recorded usage by the catalog as it is now: each event by the card version that is in force at its own time. Differences are posted as adjusting entries; nothing that was recorded is edited. It runs beside the answer: GET /v1/rerates/{id} says how far it is and what it came to.',
      body,
      answer: rerateAnswer,
      problems: ['not_found', 'conflict'],
    },
    async ({ client, environmentId, principal, body: wanted, afterCommit }) => {
      const span = { from: instantMicros(wanted.from), to: instantMicros(wanted.to) };
      if (span.from >= span.to) {
        throw refuse('invalid_request', 'the body is not valid', [
          { pointer: '/from', detail: 'is not before `to`', remedy: 'from is inclusive, to is not' },
        ]);
      }
      await checkMeters(client, environmentId, wanted.meters ?? []);
      const customer =
        wanted.customer === undefined ? undefined : await customerOf(client, environmentId, wanted.customer);
      if ((await countOpen(client, environmentId)) >= LIMITS.reratesOpenMax)
        throw refuse('conflict', `${LIMITS.reratesOpenMax} re-ratings wait or run already; wait for one to finish`);
      const id = await requestRerate(client, environmentId, {
        customerIds: customer === undefined ? undefined : [customer],
        ...span,
        meters: wanted.meters,
        onlyUnrated: wanted.only === 'unrated',
        isDryRun: wanted.dry_run,
        isAutomatic: false,
        requestedBy: principal.keyId,
        at: services.clocks.now(environmentId),
      });
      if (!wanted.dry_run) {
        const { customer: target = 'every customer', ...detail } = wanted;
        await recordAction(client, {
          ...{ environmentId, actor: principal.keyId, action: 'usage.rerate', target },
          detail: { ...detail, rerate: String(id) },
        });
      }
      afterCommit(wake);
      return describedOne(client, environmentId, id);
    },
  );
}

function registerReading(app: App, services: AppServices): void {
  const { pool } = services.database;
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/rerates',
      operationId: 'listRerates',
      tag,
      scope: 'catalog:read',
      summary: 'List re-ratings',
      description: 'Newest first.',
      query: pageQuery,
      answer: pageOf(rerateAnswer),
    },
    async ({ environmentId, query: { limit, cursor } }) => {
      const rows = await listRerates(pool, environmentId, cursorNumber('rerates', cursor), limit + 1);
      const described = await describedRows(pool, environmentId, rows);
      return page(
        described,
        limit,
        (one) => one,
        (one) => cursorAfter('rerates', one.id),
      );
    },
  );
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/rerates/{id}',
      operationId: 'getRerate',
      tag,
      scope: 'catalog:read',
      summary: 'Get a re-rating',
      description: 'How far it is, and what it came to by currency.',
      params,
      answer: rerateAnswer,
      problems: ['not_found'],
    },
    ({ environmentId, params: { id } }) => describedOne(pool, environmentId, BigInt(id)),
  );
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/rerates/{id}/customers',
      operationId: 'listRerateCustomers',
      tag,
      scope: 'catalog:read',
      summary: 'List what a re-rating came to',
      description: 'By customer and currency: what the adjusted events were charged before and after.',
      params,
      query: pageQuery,
      answer: pageOf(chargeAnswer),
      problems: ['not_found'],
    },
    async ({ environmentId, params: { id }, query: { limit, cursor } }) => {
      await describedOne(pool, environmentId, BigInt(id));
      const rows = await listCharges(pool, environmentId, BigInt(id), placeOf(cursor), limit + 1);
      return page(rows, limit, chargeOf, (row) =>
        cursorAfter('rerate_customers', `${row.customer_id}.${row.currency}`),
      );
    },
  );
}

function placeOf(cursor: string | undefined): { customerId: bigint; currency: string } | undefined {
  const text = cursorPosition('rerate_customers', cursor);
  if (text === undefined) return undefined;
  const [, customer = '', currency = ''] = /^(\d{1,18})\.(.+)$/.exec(text) ?? [];
  if (customer === '')
    throw refuse('invalid_request', 'the cursor is not one of this list', [
      { parameter: 'cursor', detail: 'not a cursor of this list', remedy: 'pass next_cursor unchanged' },
    ]);
  return { customerId: BigInt(customer), currency };
}

async function customerOf(db: Queryable, environmentId: number, externalId: string): Promise<number> {
  const customer = await findCustomer(db, environmentId, externalId);
  if (customer === undefined) throw refuse('not_found', `there is no customer ${externalId}`);
  return Number(customer.id);
}

async function checkMeters(client: Client, environmentId: number, meters: readonly string[]): Promise<void> {
  const own = new Set((await listMeters(client, environmentId)).map(({ key }) => key));
  const errors = meters.flatMap((meter, index) =>
    own.has(meter) || builtInMeter(meter) !== undefined
      ? []
      : [{ pointer: `/meters/${index}`, detail: `there is no meter ${meter}`, remedy: 'GET /v1/meters lists them' }],
  );
  if (errors.length > 0) throw refuse('invalid_request', 'the body is not valid', errors);
}

async function describedOne(db: Queryable, environmentId: number, id: bigint): Promise<z.infer<typeof rerateAnswer>> {
  const row = await findRerate(db, environmentId, id);
  const [described] = row === undefined ? [] : await describedRows(db, environmentId, [row]);
  if (described === undefined) throw refuse('not_found', `there is no re-rating ${id}`);
  return described;
}

async function describedRows(
  db: Queryable,
  environmentId: number,
  rows: readonly RerateRow[],
): Promise<z.infer<typeof rerateAnswer>[]> {
  const sums = await totalCharges(
    db,
    environmentId,
    rows.map(({ id }) => id),
  );
  const single = rows.flatMap(({ customer_ids }) => (customer_ids?.length === 1 ? customer_ids : []));
  const names = await db.query<{ id: bigint; external_id: string }>(
    'select id, external_id from customer where environment_id = $1 and id = any($2::int8[])',
    [environmentId, single],
  );
  const nameOf = new Map(names.rows.map((row) => [String(row.id), row.external_id]));
  return rows.map((row) => ({
    id: String(row.id),
    status: row.finished_at === null ? 'running' : row.failure === null ? 'finished' : 'failed',
    customer: (row.customer_ids?.length === 1 ? nameOf.get(row.customer_ids[0] ?? '') : undefined) ?? null,
    from: instantText(row.time_from),
    to: instantText(row.time_to),
    meters: row.meters,
    only: row.only_unrated ? 'unrated' : 'all',
    dry_run: row.is_dry_run,
    automatic: row.is_automatic,
    requested_at: instantText(row.requested_at),
    finished_at: instantOrNull(row.finished_at),
    failure: row.failure,
    events_examined: row.events_examined.toString(),
    events_adjusted: row.events_adjusted.toString(),
    totals: sums
      .filter(({ rerate_id }) => rerate_id === row.id)
      .map((sum) => ({ ...amountsOf(sum), customers: sum.customers.toString() })),
  }));
}

function chargeOf(row: ChargeRow): z.infer<typeof chargeAnswer> {
  return { customer: row.customer, ...amountsOf(row), events: row.events.toString() };
}

function amountsOf({ currency, old_amount, new_amount }: Pick<ChargeRow, 'currency' | 'old_amount' | 'new_amount'>) {
  const [old, now] = [decimal(old_amount), decimal(new_amount)];
  return { currency, old: toText(old), new: toText(now), difference: toText(subtract(now, old)) };
}
