import { add, type Decimal, larger, multiply, scaled, smaller, toText, ZERO } from '@ergon/exact';
import { ROLLUP_METERS, ROLLUP_POSITION } from '../catalog/built-in-meters.ts';
import type { Contribution } from '../catalog/custom-meter.ts';
import { ledgerDecimal } from '../ledger/burn.ts';
import type { Queryable } from '../store/database.ts';
import { instantArray, int8Array, textArray, uuidArray } from '../store/pg-arrays.ts';
import { isLater } from './accumulate.ts';
import type { PreparedEvent } from './prepare.ts';

export const MINUTE_MICROS = 60_000_000;

export function minuteOf(micros: number): number {
  return Math.floor(micros / MINUTE_MICROS) * MINUTE_MICROS;
}

type UsageRow = {
  readonly customerId: number;
  readonly minute: number;
  readonly dimensionSetId: string;
  readonly counts: (number | null)[];
  readonly decimals: (Decimal | null)[];
};

type MeterRow = {
  readonly meterId: number;
  readonly customerId: number;
  readonly minute: number;
  readonly dimensionSetId: string;
  eventCount: number;
  total: Decimal | null;
  least: Decimal | null;
  greatest: Decimal | null;
  latest: Decimal | null;
  latestOrder: string | null;
  moment: Decimal | null;
};

/** Money of one event, as it enters the rollup. */
export type EventMoney = { readonly charge: bigint | null; readonly providerCost: Decimal | null };

const CHARGE = ROLLUP_POSITION.get('charge') ?? -1;
const PROVIDER_COST = ROLLUP_POSITION.get('provider_cost') ?? -1;

/** The sums of one transaction for the tables that usage is read from. */
export class RollupSums {
  readonly #usage = new Map<string, UsageRow>();
  readonly #meters = new Map<string, MeterRow>();
  readonly #values = new Map<string, { row: MeterRow; value: string }>();

  addUsage(
    event: PreparedEvent,
    customerId: number,
    dimensionSetId: string,
    money: EventMoney,
    sign: 1 | -1 = 1,
  ): void {
    const minute = minuteOf(event.event.occurredAt);
    const key = `${customerId}|${minute}|${dimensionSetId}`;
    let row = this.#usage.get(key);
    if (row === undefined) {
      row = { customerId, minute, dimensionSetId, counts: EMPTY_ROW.slice(), decimals: EMPTY_DECIMALS.slice() };
      this.#usage.set(key, row);
    }
    for (const { position, quantity } of event.quantities) {
      if (position < 0) continue;
      if (ROLLUP_METERS[position]?.isDecimal === true)
        addDecimal(row, position, sign === 1 ? quantity : scaled(-quantity.coefficient, quantity.scale));
      else row.counts[position] = (row.counts[position] ?? 0) + sign * Number(quantity.coefficient);
    }
    if (money.charge !== null) addDecimal(row, CHARGE, ledgerDecimal(money.charge));
    if (money.providerCost !== null) {
      const cost = money.providerCost;
      addDecimal(row, PROVIDER_COST, sign === 1 ? cost : scaled(-cost.coefficient, cost.scale));
    }
  }

  addContribution(
    contribution: Contribution,
    customerId: number,
    occurredAt: number,
    order: string,
    dimensionSetId: string,
    valueHash: string | undefined,
  ): void {
    const minute = minuteOf(occurredAt);
    const key = `${contribution.meter.id}|${customerId}|${minute}|${dimensionSetId}`;
    let row = this.#meters.get(key);
    if (row === undefined) {
      row = emptyMeterRow(contribution.meter.id, customerId, minute, dimensionSetId);
      this.#meters.set(key, row);
    }
    row.eventCount += 1;
    if (valueHash !== undefined) this.#values.set(`${key}|${valueHash}`, { row, value: valueHash });
    const { value } = contribution;
    if (value === undefined) return;
    row.total = add(row.total ?? ZERO, value);
    row.least = row.least === null ? value : smaller(row.least, value);
    row.greatest = row.greatest === null ? value : larger(row.greatest, value);
    if (row.latestOrder === null || isLater(order, row.latestOrder)) {
      row.latest = value;
      row.latestOrder = order;
    }
    if (contribution.meter.aggregation === 'weighted_sum') {
      row.moment = add(row.moment ?? ZERO, multiply(value, scaled(BigInt(occurredAt), 6)));
    }
  }

  /** Starts the writes and returns them unawaited, for the pipeline. */
  write(db: Queryable, environmentId: number): Promise<unknown>[] {
    const writes: Promise<unknown>[] = [];
    if (this.#usage.size > 0) writes.push(writeUsage(db, environmentId, [...this.#usage.values()]));
    if (this.#meters.size > 0) writes.push(writeMeters(db, environmentId, [...this.#meters.values()]));
    if (this.#values.size > 0) writes.push(writeValues(db, environmentId, [...this.#values.values()]));
    return writes;
  }
}

const EMPTY_ROW: readonly null[] = ROLLUP_METERS.map(() => null);
const EMPTY_DECIMALS: readonly null[] = EMPTY_ROW;

function addDecimal(row: UsageRow, position: number, value: Decimal): void {
  const sum = row.decimals[position];
  row.decimals[position] = sum === null || sum === undefined ? value : add(sum, value);
}

function emptyMeterRow(meterId: number, customerId: number, minute: number, dimensionSetId: string): MeterRow {
  return {
    meterId,
    customerId,
    minute,
    dimensionSetId,
    eventCount: 0,
    total: null,
    least: null,
    greatest: null,
    latest: null,
    latestOrder: null,
    moment: null,
  };
}

const usageStatements = new Map<string, string>();

/** One statement per set of columns in use: most transactions touch six of thirty, and pay for six. */
function usageStatement(positions: readonly number[]): { name: string; text: string } {
  const name = `usage_${positions.join('_')}`;
  let text = usageStatements.get(name);
  if (text === undefined) {
    const columns = positions.map((position) => ROLLUP_METERS[position]?.column ?? '');
    const sources = positions.map(
      (position, index) => `$${index + 5}::${ROLLUP_METERS[position]?.isDecimal === true ? 'text[]' : 'int8[]'}`,
    );
    const selected = positions.map((position, index) =>
      ROLLUP_METERS[position]?.isDecimal === true ? `v${index}::numeric` : `v${index}`,
    );
    const updates = columns.map(
      (column) => `${column} = coalesce(u.${column} + coalesce(excluded.${column}, 0), excluded.${column})`,
    );
    text = `insert into usage_rollup as u (environment_id, customer_id, minute, dimension_set_id, ${columns.join(', ')})
      select $1, c, m, d, ${selected.join(', ')}
      from unnest($2::int8[], $3::timestamptz[], $4::uuid[], ${sources.join(', ')})
        as s(c, m, d, ${positions.map((_, index) => `v${index}`).join(', ')})
      order by c, m, d
      on conflict (environment_id, customer_id, minute, dimension_set_id) do update set ${updates.join(', ')}`;
    usageStatements.set(name, text);
  }
  return { name, text };
}

function writeUsage(db: Queryable, environmentId: number, rows: readonly UsageRow[]): Promise<unknown> {
  const positions: number[] = [];
  for (let position = 0; position < ROLLUP_METERS.length; position++) {
    if (rows.some((row) => row.counts[position] !== null || row.decimals[position] !== null)) positions.push(position);
  }
  if (positions.length === 0) return Promise.resolve();
  const values = positions.map((position) =>
    ROLLUP_METERS[position]?.isDecimal === true
      ? textArray(rows.map((row) => optionalText(row.decimals[position] ?? null)))
      : int8Array(rows.map((row) => row.counts[position] ?? null)),
  );
  return db.query({
    ...usageStatement(positions),
    values: [
      environmentId,
      int8Array(rows.map((row) => row.customerId)),
      instantArray(rows.map((row) => row.minute)),
      uuidArray(rows.map((row) => row.dimensionSetId)),
      ...values,
    ],
  });
}

const METER_STATEMENT = `insert into meter_rollup as r
    (environment_id, meter_id, customer_id, minute, dimension_set_id, event_count, total, least, greatest, latest, latest_order, moment)
  select $1, e, c, m, d, n, t::numeric, l::numeric, g::numeric, v::numeric, o, w::numeric
  from unnest($2::int8[], $3::int8[], $4::timestamptz[], $5::uuid[], $6::int8[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[])
    as s(e, c, m, d, n, t, l, g, v, o, w)
  order by e, c, m, d
  on conflict (environment_id, meter_id, customer_id, minute, dimension_set_id) do update set
    event_count = r.event_count + excluded.event_count,
    total = coalesce(r.total + coalesce(excluded.total, 0), excluded.total),
    least = least(r.least, excluded.least),
    greatest = greatest(r.greatest, excluded.greatest),
    latest = case when r.latest_order is null or r.latest_order < excluded.latest_order then excluded.latest else r.latest end,
    latest_order = greatest(r.latest_order, excluded.latest_order),
    moment = coalesce(r.moment + coalesce(excluded.moment, 0), excluded.moment)`;

function writeMeters(db: Queryable, environmentId: number, rows: readonly MeterRow[]): Promise<unknown> {
  return db.query({
    name: 'meter_rollup',
    text: METER_STATEMENT,
    values: [
      environmentId,
      int8Array(rows.map((row) => row.meterId)),
      int8Array(rows.map((row) => row.customerId)),
      instantArray(rows.map((row) => row.minute)),
      uuidArray(rows.map((row) => row.dimensionSetId)),
      int8Array(rows.map((row) => row.eventCount)),
      textArray(rows.map((row) => optionalText(row.total))),
      textArray(rows.map((row) => optionalText(row.least))),
      textArray(rows.map((row) => optionalText(row.greatest))),
      textArray(rows.map((row) => optionalText(row.latest))),
      textArray(rows.map((row) => row.latestOrder)),
      textArray(rows.map((row) => optionalText(row.moment))),
    ],
  });
}

function writeValues(
  db: Queryable,
  environmentId: number,
  values: readonly { row: MeterRow; value: string }[],
): Promise<unknown> {
  return db.query({
    name: 'meter_value',
    text: `insert into meter_value (environment_id, meter_id, customer_id, minute, dimension_set_id, value)
      select $1, e, c, m, d, v from unnest($2::int8[], $3::int8[], $4::timestamptz[], $5::uuid[], $6::uuid[]) as s(e, c, m, d, v)
      order by e, c, m, d, v on conflict do nothing`,
    values: [
      environmentId,
      int8Array(values.map(({ row }) => row.meterId)),
      int8Array(values.map(({ row }) => row.customerId)),
      instantArray(values.map(({ row }) => row.minute)),
      uuidArray(values.map(({ row }) => row.dimensionSetId)),
      uuidArray(values.map(({ value }) => value)),
    ],
  });
}

function optionalText(value: Decimal | null): string | null {
  return value === null ? null : toText(value);
}
