import type { z } from '@hono/zod-openapi';
import { instantText } from '../http/wire.ts';
import type { Queryable } from '../store/database.ts';
import type { EntryRow } from './posting-store.ts';
import { decimalText, type entryAnswer } from './schemas.ts';

/** Meters by card version and price key. */
export type MeterNames = ReadonlyMap<string, string>;

/** The meters that the prices of these entries price. */
export async function meterNames(db: Queryable, environmentId: number, rows: readonly EntryRow[]): Promise<MeterNames> {
  const versions = [...new Set(rows.flatMap((row) => (row.card_version_id === null ? [] : [row.card_version_id])))];
  if (versions.length === 0) return new Map();
  const result = await db.query<{ id: bigint; key: string | null; meter: string }>(
    `select v.id, p ->> 'key' as key, p ->> 'meter' as meter
     from rate_card_version v cross join jsonb_array_elements(v.spec -> 'prices') p
     where v.environment_id = $1 and v.id = any($2::int8[])`,
    [environmentId, versions],
  );
  const names = new Map<string, string>();
  for (const row of result.rows) {
    // A price without a key of its own is named by its meter, and by its match after it.
    names.set(`${row.id}/${row.key ?? row.meter}`, row.meter);
  }
  return names;
}

export function describeEntry(row: EntryRow, meters: MeterNames): z.infer<typeof entryAnswer> {
  const grant =
    row.debit_kind === 'grant' ? row.debit_account_id : row.credit_kind === 'grant' ? row.credit_account_id : null;
  const meter = row.bucket === null ? undefined : meterOf(row.card_version_id, row.bucket, meters);
  return {
    id: String(row.id),
    posted_at: instantText(row.posted_at),
    kind: row.kind as z.infer<typeof entryAnswer>['kind'],
    debit_account: `${row.debit_kind}:${row.debit_account_id}`,
    credit_account: `${row.credit_kind}:${row.credit_account_id}`,
    amount: decimalText(row.amount),
    currency: row.currency,
    ...(grant !== null && { grant: String(grant) }),
    ...(meter !== undefined && { meter }),
    ...(row.block_id !== null && { block: String(row.block_id) }),
  };
}

/** A bucket is `price/cell`; a price without a key of its own is its meter, or `meter{match}`. */
function meterOf(cardVersionId: bigint | null, bucket: string, meters: MeterNames): string | undefined {
  const [, head = '', next = ''] = /^([A-Za-z][A-Za-z0-9_.-]*)(.?)/.exec(bucket) ?? [];
  return next === '{' ? head : meters.get(`${cardVersionId}/${head}`);
}
