import { hash } from 'node:crypto';
import type pg from 'pg';
import { builtInMeter } from '../../src/catalog/built-in-meters.ts';
import { unpackLines } from '../../src/record/blocks.ts';
import { decodeRating } from '../../src/record/encode-rating.ts';

/**
 * An audit of its own, independent of the one the service ships: recomputes identities, accumulators, rollups, postings and
 * balances from the stored blocks with plain bigint arithmetic, and lists every difference. An empty list is the proof.
 */
type Sql = Pick<pg.ClientBase, 'query'>;

export type Audit = { readonly events: number; readonly differences: readonly string[] };

/** Decimals as whole units of 10^-18. */
const PLACES = 18;

export function units(text: string): bigint {
  const match = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text);
  if (match === null) throw new Error(`no decimal: ${text}`);
  const [, sign, whole = '0', fraction = ''] = match;
  if (fraction.length > PLACES && /[1-9]/.test(fraction.slice(PLACES)))
    throw new Error(`more than 18 decimals: ${text}`);
  const value = BigInt(whole + fraction.slice(0, PLACES).padEnd(PLACES, '0'));
  return sign === '-' ? -value : value;
}

class Sums {
  readonly values = new Map<string, bigint>();
  add(key: string, value: bigint): void {
    this.values.set(key, (this.values.get(key) ?? 0n) + value);
  }
}

type Expected = {
  readonly identities: Map<string, { body: string; block: string; position: number }>;
  /** customer | version | period | bucket */
  readonly quantities: Sums;
  readonly charges: Sums;
  /** customer | block | version | period | bucket | account, positive for usage, a key of its own for reversals. */
  readonly shares: Sums;
  /** customer | meter */
  readonly usage: Sums;
  events: number;
};

/** Sum meters only: a card that prices max, min, avg, latest or unique has accumulators this audit does not recompute. */
export async function audit(sql: Sql, environmentId: number, onEvent?: (id: string) => void): Promise<Audit> {
  const differences: string[] = [];
  const expected = await foldBlocks(sql, environmentId, differences, onEvent);
  await compareIdentities(sql, expected, differences);
  await compareAccumulators(sql, environmentId, expected, differences);
  await comparePostings(sql, environmentId, expected, differences);
  await compareRollups(sql, environmentId, expected, differences);
  await compareBalances(sql, environmentId, differences);
  return { events: expected.events, differences };
}

async function foldBlocks(
  sql: Sql,
  environmentId: number,
  differences: string[],
  onEvent?: (id: string) => void,
): Promise<Expected> {
  const expected: Expected = {
    identities: new Map(),
    quantities: new Sums(),
    charges: new Sums(),
    shares: new Sums(),
    usage: new Sums(),
    events: 0,
  };
  const receivables = await sql.query<{ id: string; customer_id: string; currency: string }>(
    `select id, customer_id, currency from account where environment_id = $1 and kind = 'receivable'`,
    [environmentId],
  );
  const receivableOf = new Map(receivables.rows.map((row) => [`${row.customer_id}|${row.currency}`, row.id]));
  let after = '-1';
  for (;;) {
    const blocks = await sql.query<{ id: string; event_count: number; events: Buffer; ratings: Buffer }>(
      `select id, event_count, events, ratings from event_block where environment_id = $1 and id > $2 order by id limit 200`,
      [environmentId, after],
    );
    if (blocks.rows.length === 0) return expected;
    for (const block of blocks.rows) {
      after = String(block.id);
      const raw = unpackLines(block.events);
      const ratings = unpackLines(block.ratings);
      const kept = raw.filter((line) => line !== '').length;
      if (kept !== block.event_count || ratings.length !== raw.length)
        differences.push(
          `block ${after} says ${block.event_count} events and holds ${kept}, ${ratings.length} ratings`,
        );
      raw.forEach((line, position) => {
        if (line === '') return;
        expected.events += 1;
        onEvent?.(foldEvent(environmentId, after, position, line, expected, differences));
        foldRating(after, ratings[position] ?? '', receivableOf, expected);
      });
    }
  }
}

function foldEvent(
  environmentId: number,
  block: string,
  position: number,
  line: string,
  expected: Expected,
  differences: string[],
): string {
  const event = JSON.parse(line) as { id: string; source: string };
  const key = digest(`${environmentId}\0${event.source}\0${event.id}`);
  const earlier = expected.identities.get(key);
  if (earlier !== undefined)
    differences.push(`${event.source}/${event.id} is in block ${earlier.block} and again in ${block}`);
  expected.identities.set(key, { body: digest(line), block, position });
  return event.id;
}

function digest(text: string): string {
  return hash('sha256', text, 'hex').slice(0, 32);
}

function foldRating(block: string, text: string, receivables: ReadonlyMap<string, string>, expected: Expected): void {
  const rating = decodeRating(text);
  for (const [meter, quantity] of rating.quantities) {
    if (typeof builtInMeter(meter)?.column === 'string')
      expected.usage.add(`${rating.customer ?? 0}|${meter}`, units(quantity));
  }
  for (const line of rating.lines) {
    const key = `${rating.customer}|${rating.version}|${rating.period}|${line.bucket}`;
    if (line.absorbed === undefined) {
      expected.quantities.add(key, units(line.quantity));
      expected.charges.add(key, units(line.amount));
      expected.usage.add(`${rating.customer ?? 0}|charge`, units(line.amount));
    }
    let shared = 0n;
    for (const [account, amount] of line.shares) {
      const value = units(amount);
      shared += value;
      const owner = account ?? receivables.get(`${rating.customer}|${rating.currency}`) ?? 'nobody';
      expected.shares.add(`${key}|${block}|${owner}|${value < 0n ? 'reversal' : 'usage'}`, value);
    }
    // A line whose shares miss its amount shows up as a difference that no posting can match.
    if (shared !== units(line.amount)) expected.shares.add(`${key}|${block}|unshared`, units(line.amount) - shared);
  }
}

async function compareIdentities(sql: Sql, expected: Expected, differences: string[]): Promise<void> {
  const keys = [...expected.identities.keys()];
  for (let from = 0; from < keys.length; from += 20_000) {
    const slice = keys.slice(from, from + 20_000);
    const found = await sql.query<{ key: string; body: string; block_id: string; position: number }>(
      'select key, body, block_id, position from identity where key = any($1::uuid[])',
      [slice],
    );
    if (found.rows.length !== slice.length)
      differences.push(`${slice.length} events have ${found.rows.length} identity rows`);
    for (const row of found.rows) {
      const event = expected.identities.get(row.key.replaceAll('-', ''));
      const isRight =
        event !== undefined &&
        event.body === row.body.replaceAll('-', '') &&
        event.block === String(row.block_id) &&
        event.position === row.position;
      if (!isRight) differences.push(`identity ${row.key} points to ${row.block_id}/${row.position}, not to its event`);
    }
  }
}

async function compareAccumulators(
  sql: Sql,
  environmentId: number,
  expected: Expected,
  differences: string[],
): Promise<void> {
  const rows = await sql.query<{ owner: string; bucket: string; q: string; a: string }>(
    `select customer_id || '|' || card_version_id || '|' || period as owner, t.key as bucket, t.value ->> 'q' as q, t.value ->> 'a' as a
     from accumulator, json_each(totals) t where environment_id = $1`,
    [environmentId],
  );
  const quantities = new Map(rows.rows.map((row) => [`${row.owner}|${row.bucket}`, units(row.q)]));
  const charges = new Map(rows.rows.map((row) => [`${row.owner}|${row.bucket}`, units(row.a)]));
  compare('accumulated quantity', expected.quantities.values, quantities, differences);
  compare('accumulated charge', expected.charges.values, charges, differences);
}

async function comparePostings(
  sql: Sql,
  environmentId: number,
  expected: Expected,
  differences: string[],
): Promise<void> {
  const rows = await sql.query<{ key: string; amount: string }>(
    `select customer_id || '|' || card_version_id || '|' || period || '|' || bucket || '|' || block_id || '|' ||
         coalesce(reversed_account_id, debit_account_id) || '|' || kind as key,
       sum(case kind when 'reversal' then -amount else amount end) as amount
     from posting where environment_id = $1 and kind in ('usage', 'reversal') group by 1`,
    [environmentId],
  );
  const posted = new Map(rows.rows.map((row) => [row.key, units(row.amount)]));
  compare('posted', expected.shares.values, posted, differences);
}

async function compareRollups(
  sql: Sql,
  environmentId: number,
  expected: Expected,
  differences: string[],
): Promise<void> {
  const rows = await sql.query<{ owner: string; meter: string; value: string }>(
    `select r.customer_id::text as owner, c.key as meter, sum(c.value::numeric)::text as value
     from usage_rollup r, jsonb_each_text(to_jsonb(r) - 'environment_id' - 'customer_id' - 'minute' - 'dimension_set_id' - 'provider_cost') c
     where r.environment_id = $1 and c.value is not null group by 1, 2`,
    [environmentId],
  );
  const found = new Map(rows.rows.map((row) => [`${row.owner}|${row.meter}`, units(row.value)]));
  compare('usage', expected.usage.values, found, differences);
}

async function compareBalances(sql: Sql, environmentId: number, differences: string[]): Promise<void> {
  const rows = await sql.query<{ id: string; balance: string | null; folded: string }>(
    `with moved as (
       select credit_account_id as id, amount from posting where environment_id = $1
       union all select debit_account_id, -amount from posting where environment_id = $1)
     select coalesce(a.id, m.id) as id, a.balance, coalesce(m.folded, 0)::text as folded
     from (select id, balance from account where environment_id = $1) a
       full join (select id, sum(amount) as folded from moved group by id) m on m.id = a.id
     where a.id is null or a.balance is distinct from case when a.balance is null then null else coalesce(m.folded, 0) end`,
    [environmentId],
  );
  for (const row of rows.rows)
    differences.push(`account ${row.id} holds ${row.balance}, its postings fold to ${row.folded}`);
  const total = await sql.query<{ total: string; negative: number }>(
    `select (coalesce((select sum(balance) from account where environment_id = $1 and balance is not null), 0)
       + coalesce((select sum(case when p.credit_account_id = a.id then amount else -amount end) from account a
           join posting p on p.environment_id = $1 and (p.credit_account_id = a.id or p.debit_account_id = a.id)
           where a.environment_id = $1 and a.balance is null), 0))::text as total,
       (select count(*)::int from account where environment_id = $1 and kind = 'grant' and balance < 0) as negative`,
    [environmentId],
  );
  const [sum] = total.rows;
  if (sum === undefined || units(sum.total) !== 0n) differences.push(`the ledger sums to ${sum?.total}, not to zero`);
  if (sum === undefined || sum.negative > 0) differences.push(`${sum?.negative} grants are below zero`);
}

function compare(
  what: string,
  expected: ReadonlyMap<string, bigint>,
  found: ReadonlyMap<string, bigint>,
  differences: string[],
): void {
  for (const key of new Set([...expected.keys(), ...found.keys()])) {
    const [want = 0n, have = 0n] = [expected.get(key), found.get(key)];
    if (want !== have && differences.length < 100)
      differences.push(`${what} of ${key}: the events say ${want}e-18, the table says ${have}e-18`);
  }
}
