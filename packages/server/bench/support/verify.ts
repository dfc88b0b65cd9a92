import { GRANT, type Rig } from './rig.ts';
import { CUSTOMERS, customerName, FIGURES, PRICES } from './workload.ts';

/**
 * Recomputes from the generator's own figures what the service must hold: counts, quantities, amounts, balances. Returns every
 * difference; none is the proof.
 */
export async function verify(rig: Rig): Promise<string[]> {
  const differences: string[] = [];
  const { sent, sql } = rig;
  const same = (what: string, want: bigint | number, have: string | number | undefined | null): void => {
    if (units(String(have ?? '0')) !== units(String(want))) differences.push(`${what}: sent ${want}, recorded ${have}`);
  };
  same('accepted', sent.distinct, sent.accepted);
  same('duplicates', sent.repeated, sent.duplicates);
  const stored = await sql.query<{ events: string }>('select coalesce(sum(event_count), 0) as events from event_block');
  same('stored events', sent.distinct, stored.rows[0]?.events);
  const charges = expectedCharges(sent.totals);
  await verifyUsage(rig, charges, same);
  await verifyAccumulators(rig, same);
  await verifyLedger(rig, charges, same);
  return differences;
}

type Same = (what: string, want: bigint | number, have: string | number | undefined | null) => void;

/** Amounts as decimal text with 18 places would be long to write down; everything here is in units of 10^-18. */
const ONE = 10n ** 18n;

function units(text: string): bigint {
  const [whole = '0', fraction = ''] = text.replace('-', '').split('.');
  const value = BigInt(whole) * ONE + BigInt(fraction.padEnd(18, '0').slice(0, 18));
  return text.startsWith('-') ? -value : value;
}

function text(value: bigint): string {
  const digits = (value < 0n ? -value : value).toString().padStart(19, '0');
  return `${value < 0n ? '-' : ''}${digits.slice(0, -18)}.${digits.slice(-18)}`;
}

function figure(totals: Float64Array, customer: number, index: number): bigint {
  return BigInt(totals[customer * FIGURES + index] ?? 0);
}

/** For each customer, "price key" to quantity and amount. Reasoning costs what output costs, in the same running total. */
function priced(totals: Float64Array, customer: number): Map<string, { quantity: bigint; amount: bigint }> {
  const result = new Map<string, { quantity: bigint; amount: bigint }>();
  PRICES.forEach((price, family) => {
    const base = 1 + family * 4;
    const quantities = {
      input: figure(totals, customer, base),
      cache_read: figure(totals, customer, base + 1),
      output: figure(totals, customer, base + 2) + figure(totals, customer, base + 3),
    };
    const rates = { input: price.input, cache_read: price.cacheRead, output: price.output };
    for (const name of ['input', 'cache_read', 'output'] as const) {
      const quantity = quantities[name];
      result.set(`${price.family}-${name}`, { quantity, amount: quantity * units(rates[name]) });
    }
  });
  return result;
}

function expectedCharges(totals: Float64Array): bigint[] {
  return Array.from({ length: CUSTOMERS }, (_, customer) => {
    let sum = 0n;
    for (const { amount } of priced(totals, customer).values()) sum += amount;
    return sum;
  });
}

async function verifyUsage(rig: Rig, charges: readonly bigint[], same: Same): Promise<void> {
  const { rows } = await rig.sql.query<Record<string, string>>(
    `select c.external_id, sum(requests) as requests, sum(input_tokens) as input, sum(cache_read_tokens) as cache_read,
       sum(output_tokens) as output, sum(reasoning_tokens) as reasoning, sum(charge) as charge
     from usage_rollup r join customer c on c.environment_id = r.environment_id and c.id = r.customer_id group by 1`,
  );
  const found = new Map(rows.map((row) => [row['external_id'], row]));
  const { totals } = rig.sent;
  for (let customer = 0; customer < CUSTOMERS; customer++) {
    const row = found.get(customerName(customer));
    const name = customerName(customer);
    const over = (offset: number): bigint =>
      PRICES.reduce((sum, _, family) => sum + figure(totals, customer, 1 + family * 4 + offset), 0n);
    same(`${name} requests`, figure(totals, customer, 0), row?.['requests']);
    same(`${name} input`, over(0), row?.['input']);
    same(`${name} cache read`, over(1), row?.['cache_read']);
    same(`${name} output`, over(2), row?.['output']);
    same(`${name} reasoning`, over(3), row?.['reasoning']);
    if (text(charges[customer] ?? 0n) !== text(units(row?.['charge'] ?? '0')))
      same(`${name} charge in usage`, 0, text((charges[customer] ?? 0n) - units(row?.['charge'] ?? '0')));
  }
}

async function verifyAccumulators(rig: Rig, same: Same): Promise<void> {
  const { rows } = await rig.sql.query<{ external_id: string; price: string; q: string; a: string }>(
    `select c.external_id, split_part(t.key, '/', 1) as price, sum((t.value ->> 'q')::numeric)::text as q, sum((t.value ->> 'a')::numeric)::text as a
     from accumulator a join customer c on c.environment_id = a.environment_id and c.id = a.customer_id, json_each(a.totals) t group by 1, 2`,
  );
  const found = new Map(rows.map((row) => [`${row.external_id}|${row.price}`, row]));
  for (let customer = 0; customer < CUSTOMERS; customer++) {
    for (const [price, { quantity, amount }] of priced(rig.sent.totals, customer)) {
      const row = found.get(`${customerName(customer)}|${price}`);
      same(`${customerName(customer)} total of ${price}`, quantity, row?.q);
      const off = amount - units(row?.a ?? '0');
      if (off !== 0n) same(`${customerName(customer)} charge of ${price} is off`, 0, text(off));
    }
  }
}

async function verifyLedger(rig: Rig, charges: readonly bigint[], same: Same): Promise<void> {
  const { rows } = await rig.sql.query<{ external_id: string; balance: string }>(
    `select c.external_id, sum(a.balance)::text as balance from account a
       join customer c on c.environment_id = a.environment_id and c.id = a.customer_id group by 1`,
  );
  const found = new Map(rows.map((row) => [row.external_id, row.balance]));
  let total = 0n;
  for (let customer = 0; customer < CUSTOMERS; customer++) {
    const charge = charges[customer] ?? 0n;
    total += charge;
    const off = units(GRANT) - charge - units(found.get(customerName(customer)) ?? '0');
    if (off !== 0n) same(`${customerName(customer)} balance is off`, 0, text(off));
  }
  const ledger = await rig.sql.query<{ revenue: string; unbalanced: number }>(
    `with moved as (select credit_account_id as id, amount from posting union all select debit_account_id, -amount from posting),
       folded as (select id, sum(amount) as amount from moved group by id)
     select coalesce((select sum(f.amount) from folded f join account a on a.id = f.id where a.kind = 'revenue'), 0)::text as revenue,
       (select count(*)::int from account a left join folded f on f.id = a.id
         where a.balance is not null and a.balance <> coalesce(f.amount, 0)) as unbalanced`,
  );
  const revenueOff = total - units(ledger.rows[0]?.revenue ?? '0');
  if (revenueOff !== 0n) same('revenue is off', 0, text(revenueOff));
  same('accounts that are not the fold of their postings', 0, ledger.rows[0]?.unbalanced);
}
