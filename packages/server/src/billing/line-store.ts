import { type Currency, currency, type Decimal, decimal, toText } from '@ergon/exact';
import { formatInstant, microsFromPostgres } from '../event/instant.ts';
import type { Client, Queryable } from '../store/database.ts';
import type { LineKind, Owed } from './owed.ts';

export type Line = {
  readonly number: number;
  readonly line: number;
  /** The period it is about: an earlier one where it adjusts that. */
  readonly about: number;
  readonly kind: LineKind;
  readonly key: string;
  readonly description: string;
  readonly quantity: Decimal | null;
  readonly currency: Currency;
  readonly amount: Decimal;
  readonly detail: Readonly<Record<string, unknown>>;
  readonly postingId: bigint | null;
  readonly createdAt: number;
};

type Row = {
  number: number;
  line: number;
  about: number;
  kind: LineKind;
  key: string;
  description: string;
  quantity: string | null;
  currency: string;
  amount: string;
  detail: Record<string, unknown>;
  posting_id: bigint | null;
  created_at: string;
};

const COLUMNS =
  'number, line, about, kind, key, description, quantity, currency, amount, detail, posting_id, created_at';

/** In order. */
export async function listLines(
  db: Queryable,
  environmentId: number,
  subscriptionId: bigint,
  at: { number: number; after: bigint | undefined; limit: number },
): Promise<Line[]> {
  const result = await db.query<Row>(
    `select ${COLUMNS} from subscription_line where environment_id = $1 and subscription_id = $2 and number = $3
       and line > $4 order by line limit $5`,
    [environmentId, subscriptionId, at.number, at.after ?? 0n, at.limit],
  );
  return result.rows.map((row) => ({
    number: row.number,
    line: row.line,
    about: row.about,
    kind: row.kind,
    key: row.key,
    description: row.description,
    quantity: row.quantity === null ? null : decimal(row.quantity),
    currency: currency(row.currency),
    amount: decimal(row.amount),
    detail: row.detail,
    postingId: row.posting_id,
    createdAt: microsFromPostgres(row.created_at),
  }));
}

/** What the lines about one period say so far, by key. */
export type Stated = ReadonlyMap<string, Owed>;

export async function statedAbout(
  db: Queryable,
  environmentId: number,
  subscriptionId: bigint,
  about: number,
): Promise<Stated> {
  // Of a period's own lines and of those that adjust it later; the second part has an index of its own.
  const result = await db.query<Pick<Row, 'kind' | 'key' | 'description' | 'currency' | 'amount' | 'quantity'>>(
    `select kind, key, min(description) as description, currency, sum(amount) as amount, sum(quantity) as quantity
     from subscription_line where environment_id = $1 and subscription_id = $2 and about = $3 and (number = $3 or about <> number)
     group by kind, key, currency`,
    [environmentId, subscriptionId, about],
  );
  return new Map(
    result.rows.map((row) => [
      row.key,
      {
        kind: row.kind,
        key: row.key,
        description: row.description,
        currency: currency(row.currency),
        amount: decimal(row.amount),
        ...(row.quantity !== null && { quantity: decimal(row.quantity) }),
      },
    ]),
  );
}

/**
 * Amount and quantity of the usage that the lines about each period state, by card version and price: what late events are told
 * by. In one sum a void and a late event might cancel out. The key of a price is cut where the name of a bucket is certain to
 * have it too: both go on behind a slash.
 */
export async function statedUsage(
  db: Queryable,
  environmentId: number,
  subscriptionId: bigint,
): Promise<Map<number, string>> {
  const result = await db.query<{ about: number; sums: string }>(
    `select about, string_agg(sums, ' ' order by sums) as sums from (
       select about, split_part(substr(key, 7), '/', 1) || ' ' ||
         trim_scale(sum(amount)) || ' for ' || trim_scale(sum(quantity)) as sums
       from subscription_line where environment_id = $1 and subscription_id = $2 and kind = 'usage'
       group by about, split_part(substr(key, 7), '/', 1)) part
     group by about`,
    [environmentId, subscriptionId],
  );
  return new Map(result.rows.map((row) => [row.about, row.sums]));
}

export type NewLine = { readonly about: number; readonly owed: Owed; readonly postingId: bigint | null };

export async function insertLines(
  client: Client,
  environmentId: number,
  subscriptionId: bigint,
  { number, lines, at }: { number: number; lines: readonly NewLine[]; at: number },
): Promise<void> {
  if (lines.length === 0) return;
  const rows = lines.map(({ about, owed, postingId }) => ({
    about,
    kind: owed.kind,
    key: owed.key,
    description: owed.description,
    quantity: owed.quantity === undefined ? null : toText(owed.quantity),
    currency: owed.currency,
    amount: toText(owed.amount),
    detail: owed.detail ?? {},
    posting_id: postingId === null ? null : String(postingId),
  }));
  await client.query(
    `insert into subscription_line (environment_id, subscription_id, number, line, about, kind, key, description, quantity,
       currency, amount, detail, posting_id, created_at)
     select $1, $2, $3, n + (select coalesce(max(line), 0) from subscription_line
         where environment_id = $1 and subscription_id = $2 and number = $3),
       about, kind, key, description, quantity, currency, amount, detail, posting_id, $5
     from rows from (jsonb_to_recordset($4::jsonb) as (about int, kind text, key text, description text, quantity numeric,
       currency text, amount numeric, detail jsonb, posting_id int8)) with ordinality
       as r(about, kind, key, description, quantity, currency, amount, detail, posting_id, n)`,
    [environmentId, subscriptionId, number, JSON.stringify(rows), formatInstant(at)],
  );
}

/** Sum of a period's lines in the subscription's currency. */
export async function totalOf(
  db: Queryable,
  environmentId: number,
  subscriptionId: bigint,
  number: number,
  code: Currency,
): Promise<Decimal> {
  const result = await db.query<{ total: string | null }>(
    `select sum(amount) as total from subscription_line
     where environment_id = $1 and subscription_id = $2 and number = $3 and currency = $4`,
    [environmentId, subscriptionId, number, code],
  );
  return decimal(result.rows[0]?.total ?? '0');
}
