import { toText } from '@ergon/exact';
import { type LedgerUnits, ledgerDecimal } from '../ledger/burn.ts';
import { microsFromPostgres } from '../event/instant.ts';
import type { Queryable } from '../store/database.ts';
import { textArray } from '../store/pg-arrays.ts';

/** A re-rating and how far it is. */
export type Rerate = {
  readonly environmentId: number;
  readonly id: bigint;
  /** Null: every customer. */
  readonly customerIds: readonly number[] | null;
  /** Event time, `[from, to)`, microseconds since 1970. */
  readonly from: number;
  readonly to: number;
  readonly meters: readonly string[] | null;
  readonly onlyUnrated: boolean;
  readonly isDryRun: boolean;
  readonly isAutomatic: boolean;
  /** The customer it is at, 0 before the first, and the last of its blocks that was read. */
  readonly atCustomer: number;
  readonly atBlock: bigint;
};

export type RerateRow = {
  environment_id: number;
  id: bigint;
  customer_ids: string[] | null;
  time_from: string;
  time_to: string;
  meters: string[] | null;
  only_unrated: boolean;
  is_dry_run: boolean;
  is_automatic: boolean;
  requested_by: string;
  requested_at: string;
  finished_at: string | null;
  failure: string | null;
  at_customer: bigint;
  at_block: bigint;
  events_examined: bigint;
  events_adjusted: bigint;
};

const COLUMNS = `environment_id, id, customer_ids::text[] as customer_ids, time_from, time_to, meters, only_unrated, is_dry_run, is_automatic,
  requested_by, requested_at, finished_at, failure, at_customer, at_block, events_examined, events_adjusted`;

/** Re-ratings that wait or run, oldest first. */
export async function openRerates(db: Queryable): Promise<{ environmentId: number; id: bigint }[]> {
  const result = await db.query<{ environment_id: number; id: bigint }>({
    name: 'open_rerates',
    text: 'select environment_id, id from rerate where finished_at is null order by is_automatic, id limit 100',
  });
  return result.rows.map((row) => ({ environmentId: row.environment_id, id: row.id }));
}

/** The re-rating, locked; `undefined` when it is finished or another process has it at this moment. */
export async function lockRerate(db: Queryable, environmentId: number, id: bigint): Promise<Rerate | undefined> {
  const result = await db.query<RerateRow>(
    `select ${COLUMNS} from rerate where environment_id = $1 and id = $2 and finished_at is null for update skip locked`,
    [environmentId, id],
  );
  const [row] = result.rows;
  return row === undefined ? undefined : rerateOf(row);
}

/**
 * Whether one that was asked for is open: an automatic one lets it go first. Else a publish that re-rates what came before might find
 * part of it charged by then, and tell of a smaller difference than it made. Asked under the catalog's lock, which publishes take.
 */
export async function isAskedOpen(db: Queryable, environmentId: number): Promise<boolean> {
  const result = await db.query(
    'select from rerate where environment_id = $1 and finished_at is null and not is_automatic and not is_dry_run limit 1',
    [environmentId],
  );
  return result.rowCount !== 0;
}

function rerateOf(row: RerateRow): Rerate {
  return {
    environmentId: row.environment_id,
    id: row.id,
    customerIds: row.customer_ids?.map(Number) ?? null,
    from: microsFromPostgres(row.time_from),
    to: microsFromPostgres(row.time_to),
    meters: row.meters,
    onlyUnrated: row.only_unrated,
    isDryRun: row.is_dry_run,
    isAutomatic: row.is_automatic,
    atCustomer: Number(row.at_customer),
    atBlock: row.at_block,
  };
}

export type Progress = {
  readonly customerId: number;
  readonly block: bigint;
  readonly examined: number;
  readonly adjusted: number;
};

export async function saveProgress(db: Queryable, rerate: Rerate, progress: Progress): Promise<void> {
  await db.query(
    `update rerate set at_customer = $3, at_block = $4, events_examined = events_examined + $5, events_adjusted = events_adjusted + $6
     where environment_id = $1 and id = $2`,
    [
      rerate.environmentId,
      rerate.id,
      progress.customerId,
      progress.block.toString(),
      progress.examined,
      progress.adjusted,
    ],
  );
}

export async function finishRerate(
  db: Queryable,
  { environmentId, id }: Pick<Rerate, 'environmentId' | 'id'>,
  failure: string | null = null,
): Promise<void> {
  await db.query(
    'update rerate set finished_at = now(), failure = $3 where environment_id = $1 and id = $2 and finished_at is null',
    [environmentId, id, failure],
  );
}

export type CustomerCharge = {
  readonly currency: string;
  readonly old: LedgerUnits;
  readonly new: LedgerUnits;
  readonly events: number;
};

export async function addCharges(
  db: Queryable,
  rerate: Rerate,
  customerId: number,
  charges: readonly CustomerCharge[],
): Promise<void> {
  if (charges.length === 0) return;
  await db.query(
    `insert into rerate_customer as r (environment_id, rerate_id, customer_id, currency, events, old_amount, new_amount)
     select $1, $2, $3, y, n::int8, o::numeric, a::numeric from unnest($4::text[], $5::text[], $6::text[], $7::text[]) as s(y, n, o, a)
     on conflict (environment_id, rerate_id, customer_id, currency) do update set
       events = r.events + excluded.events, old_amount = r.old_amount + excluded.old_amount, new_amount = r.new_amount + excluded.new_amount`,
    [
      rerate.environmentId,
      rerate.id,
      customerId,
      textArray(charges.map(({ currency }) => currency)),
      textArray(charges.map(({ events }) => String(events))),
      textArray(charges.map((one) => toText(ledgerDecimal(one.old)))),
      textArray(charges.map((one) => toText(ledgerDecimal(one.new)))),
    ],
  );
}

export async function findRerate(db: Queryable, environmentId: number, id: bigint): Promise<RerateRow | undefined> {
  const result = await db.query<RerateRow>(`select ${COLUMNS} from rerate where environment_id = $1 and id = $2`, [
    environmentId,
    id,
  ]);
  return result.rows[0];
}

/** Newest first. */
export async function listRerates(
  db: Queryable,
  environmentId: number,
  before: bigint | undefined,
  limit: number,
): Promise<RerateRow[]> {
  const result = await db.query<RerateRow>(
    `select ${COLUMNS} from rerate where environment_id = $1 and ($2::int8 is null or id < $2) order by id desc limit $3`,
    [environmentId, before ?? null, limit],
  );
  return result.rows;
}

export async function countOpen(db: Queryable, environmentId: number): Promise<number> {
  const result = await db.query<{ count: bigint }>(
    'select count(*) as count from rerate where environment_id = $1 and finished_at is null and not is_automatic',
    [environmentId],
  );
  return Number(result.rows[0]?.count ?? 0n);
}

export type ChargeRow = {
  customer_id: bigint;
  customer: string;
  currency: string;
  events: bigint;
  old_amount: string;
  new_amount: string;
};

/** What it came to for each customer and currency, by customer. */
export async function listCharges(
  db: Queryable,
  environmentId: number,
  id: bigint,
  after: { customerId: bigint; currency: string } | undefined,
  limit: number,
): Promise<ChargeRow[]> {
  const result = await db.query<ChargeRow>(
    `select r.customer_id, c.external_id as customer, r.currency, r.events, r.old_amount, r.new_amount
     from rerate_customer r join customer c on c.environment_id = r.environment_id and c.id = r.customer_id
     where r.environment_id = $1 and r.rerate_id = $2 and ($3::int8 is null or (r.customer_id, r.currency) > ($3, $4::text))
     order by r.customer_id, r.currency limit $5`,
    [environmentId, id, after?.customerId ?? null, after?.currency ?? '', limit],
  );
  return result.rows;
}

export type TotalRow = { currency: string; customers: bigint; old_amount: string; new_amount: string };

export async function totalCharges(db: Queryable, environmentId: number, ids: readonly bigint[]) {
  const result = await db.query<TotalRow & { rerate_id: bigint }>(
    `select rerate_id, currency, count(*) as customers, sum(old_amount) as old_amount, sum(new_amount) as new_amount
     from rerate_customer where environment_id = $1 and rerate_id = any($2::int8[]) group by 1, 2 order by 1, 2`,
    [environmentId, ids.map(String)],
  );
  return result.rows;
}
