import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestErgon, type TestErgon } from '../../../../tests/support/ergon.ts';
import { llmCall, newTenant, type Tenant } from '../report/report.test-support.ts';
import { finished, rerate, until } from './rerate.test-support.ts';

let ergon: TestErgon;
beforeAll(async () => {
  ergon = await startTestErgon(2);
});
afterAll(() => ergon.stop());

const price = (meter: string, unit_amount: string, match?: Record<string, string>) => ({
  meter,
  ...(match !== undefined && { match }),
  charge_model: { type: 'per_unit', unit_amount },
});
const card = (...prices: unknown[]) => ({ currency: 'USD', prices });
const at = (hour: number) => `2026-11-20T${String(hour).padStart(2, '0')}:00:00Z`;
const voidOf = (id: string) => ({ id: `v-${id}`, source: 'test', type: 'event.void', data: { source: 'test', id } });

async function unrated(tenant: Tenant): Promise<unknown[]> {
  return (await tenant.read<{ data: unknown[] }>('/v1/unrated')).data;
}

/** Charge of a customer: what usage says, and what the ledger says. */
async function charge(tenant: Tenant, customer: string): Promise<string[]> {
  const query = `customer=${customer}&meter=charge&from=2026-11-01T00:00:00Z&to=2026-12-01T00:00:00Z`;
  const { rows } = await tenant.read<{ rows: { value: string }[] }>(`/v1/usage?${query}`);
  const ledger = await ergon.sql.query<{ sum: string }>(
    `select trim_scale(coalesce(sum(case kind when 'usage' then amount when 'reversal' then -amount end), 0))::text as sum
     from posting p join customer c on c.environment_id = p.environment_id and c.id = p.customer_id
     where p.environment_id = $1 and c.external_id = $2`,
    [tenant.id, customer],
  );
  return [...rows.map(({ value }) => value), ledger.rows[0]?.sum ?? ''];
}

async function tokens(tenant: Tenant, customer: string): Promise<string | undefined> {
  const query = `customer=${customer}&meter=total_tokens&from=2026-11-01T00:00:00Z&to=2026-12-01T00:00:00Z`;
  return (await tenant.read<{ rows: { value: string }[] }>(`/v1/usage?${query}`)).rows[0]?.value;
}

test('usage of before any card is rated when the first card is published, once, and its quantities are counted once', async () => {
  const tenant = await newTenant(ergon, ['acme']);
  await tenant.post('/v1/customers/acme/wallets/default/grants', { amount: '3', currency: 'USD', kind: 'paid' });
  await tenant.send([
    llmCall('a', at(1), { tokens: { input: 10, output: 5 }, run_id: 'r1' }),
    llmCall('b', at(2), { tokens: { output: 7 } }, 'zenith'),
    { ...llmCall('c', at(2), { tokens: { output: 7 } }), subject: undefined },
    llmCall('gone', at(3), { tokens: { output: 70 } }),
    voidOf('gone'),
  ]);
  await tenant.put('/v1/rate_cards/default', card(price('output_tokens', '1')));
  await until(
    () => charge(tenant, 'acme'),
    (amounts) => amounts.includes('5'),
  );
  await until(
    () => charge(tenant, 'zenith'),
    (amounts) => amounts.includes('7'),
  );
  expect(await charge(tenant, 'acme')).toEqual(['5', '5']);
  expect(await charge(tenant, 'zenith')).toEqual(['7', '7']);
  expect(await tokens(tenant, 'acme')).toBe('15');
  expect(await unrated(tenant)).toMatchObject([
    { customer: null, reason: 'no_customer' },
    { customer: null, reason: 'no_customer' },
    { customer: 'acme', meter: 'input_tokens', reason: 'no_price', quantity: '10' },
  ]);
  const wallet = await tenant.read<{ available: string }>('/v1/customers/acme/wallets/default');
  expect(wallet.available).toBe('0');
  const run = await tenant.read<{ charge: unknown }>('/v1/runs/r1');
  expect(JSON.stringify(run)).toContain('"charge":"5"');
  expect(await tenant.audit()).toEqual([]);
  const again = await rerate(tenant, { only: 'all' });
  expect(again).toMatchObject({ status: 'finished', events_adjusted: '0', totals: [] });
});

test('a price that appears for a model is charged for later usage only, and for earlier usage when that is asked for', async () => {
  const tenant = await newTenant(ergon, ['acme']);
  await tenant.put('/v1/rate_cards/default', card(price('output_tokens', '1')));
  await tenant.send([llmCall('a', at(1), { tokens: { input: 10, output: 5 } })]);
  await tenant.put('/v1/rate_cards/default', card(price('output_tokens', '1'), price('input_tokens', '0.5')));
  const untouched = await rerate(tenant, {});
  expect(untouched).toMatchObject({ status: 'finished', events_adjusted: '0' });
  expect(await charge(tenant, 'acme')).toEqual(['5', '5']);
  const past = { ...card(price('output_tokens', '1'), price('input_tokens', '0.25')), effective_from: at(0) };
  expect((await tenant.tryPut('/v1/rate_cards/default', past)).status).toBe(400);
  const { status, text } = await tenant.tryPut('/v1/rate_cards/default', { ...past, rerate: true });
  expect(status).toBe(200);
  const done = await finished(tenant, JSON.parse(text).rerate);
  expect(done).toMatchObject({
    status: 'finished',
    events_adjusted: '1',
    totals: [{ currency: 'USD', old: '5', new: '7.5', difference: '2.5', customers: '1' }],
  });
  expect(await charge(tenant, 'acme')).toEqual(['7.5', '7.5']);
  expect(await unrated(tenant)).toEqual([]);
  expect(await tenant.audit()).toEqual([]);
});

test('an alias that names the model prices its usage', async () => {
  const tenant = await newTenant(ergon, ['acme']);
  await tenant.put('/v1/rate_cards/default', card(price('output_tokens', '2', { model: 'known' })));
  await tenant.send([llmCall('a', at(1), { model: 'private-name', tokens: { output: 5 } })]);
  expect(await unrated(tenant)).toHaveLength(1);
  await tenant.put('/v1/model_aliases/private-name', { model: 'known' });
  await until(
    () => unrated(tenant),
    (rows) => rows.length === 0,
  );
  expect(await charge(tenant, 'acme')).toEqual(['10', '10']);
  expect(await tenant.audit()).toEqual([]);
  await tenant.send([voidOf('a')]);
  expect(await charge(tenant, 'acme')).toEqual(['0', '0']);
  expect(await tenant.audit()).toEqual([]);
});

test('a dry run says what it would come to, and changes nothing', async () => {
  const tenant = await newTenant(ergon, ['acme', 'zenith']);
  await tenant.put('/v1/rate_cards/default', card(price('output_tokens', '1')));
  await tenant.send([
    llmCall('a', at(1), { tokens: { output: 5 } }),
    llmCall('b', at(1), { tokens: { output: 2 } }, 'zenith'),
  ]);
  await tenant.put('/v1/rate_cards/dear', card(price('output_tokens', '3')));
  await tenant.put('/v1/customers/zenith', { rate_card: 'dear' });
  const tables = async () => {
    const counts = await ergon.sql.query(
      `select (select count(*) from posting where environment_id = $1) as p, (select count(*) from event_block where environment_id = $1) as b,
         (select count(*) from event_adjustment where environment_id = $1) as a`,
      [tenant.id],
    );
    return counts.rows[0];
  };
  const before = await tables();
  const tried = await rerate(tenant, { only: 'all', dry_run: true });
  expect(tried).toMatchObject({ events_adjusted: '1', totals: [{ old: '2', new: '6', difference: '4' }] });
  expect(await tables()).toEqual(before);
  expect(await charge(tenant, 'zenith')).toEqual(['2', '2']);
  const done = await rerate(tenant, { only: 'all', customer: 'zenith' });
  expect(done.totals).toEqual(tried.totals);
  const { data } = await tenant.read<{ data: unknown[] }>(`/v1/rerates/${done.id}/customers`);
  expect(data).toEqual([{ customer: 'zenith', currency: 'USD', old: '2', new: '6', difference: '4', events: '1' }]);
  expect(await charge(tenant, 'zenith')).toEqual(['6', '6']);
  expect(await charge(tenant, 'acme')).toEqual(['5', '5']);
  expect(await tenant.audit()).toEqual([]);
});

test.each([
  [{ from: 'yesterday' }, '/from'],
  [{ from: at(2), to: at(2) }, '/from'],
  [{ only: 'some' }, '/only'],
  [{ meters: ['no_such_meter'] }, '/meters/0'],
  [{ meters: [] }, '/meters'],
])('a bad request %j is refused and names the field', async (body, pointer) => {
  const tenant = await newTenant(ergon);
  const { status, text } = await tenant.post('/v1/rerate', { from: at(1), to: at(2), ...body });
  expect(status).toBe(400);
  expect(text).toContain(`"pointer":"${pointer}"`);
});

test('unknown customers and re-ratings are not found; no client writes as Ergon itself', async () => {
  const tenant = await newTenant(ergon);
  const asked = await tenant.post('/v1/rerate', { from: at(1), to: at(2), customer: 'nobody' });
  expect(asked.status).toBe(404);
  expect((await tenant.get('/v1/rerates/999999')).status).toBe(404);
  expect((await tenant.get('/v1/rerates/999999/customers')).status).toBe(404);
  const sent = await tenant.send([{ ...llmCall('rerate:1:aa', at(1)), source: 'ergon' }]);
  expect(sent).toMatchObject({ rejected: 1, results: [{ error: { code: 'invalid_field' } }] });
});

test('a simulation counts re-rated usage once, and what it was charged anew as the old charge', async () => {
  const tenant = await newTenant(ergon, ['acme']);
  await tenant.send([
    llmCall('a', at(1), { tokens: { input: 10, output: 5 } }),
    llmCall('b', at(2), { tokens: { output: 7 } }),
  ]);
  await tenant.put('/v1/rate_cards/default', card(price('output_tokens', '1')));
  await until(
    () => charge(tenant, 'acme'),
    (amounts) => amounts.includes('12'),
  );
  const fee = { meter: 'requests', charge_model: { type: 'percentage', rate: '0', fixed_amount: '3' } };
  for (const prices of [[fee], [fee, price('output_tokens', '2', { model: '*' })]]) {
    const answer = await tenant.post('/v1/rate_cards/default/simulate', { month: '2026-11', card: card(...prices) });
    expect(JSON.parse(answer.text)).toMatchObject({
      events: '2',
      totals: { old: '12', new: prices.length === 1 ? '6' : '30' },
    });
  }
});
