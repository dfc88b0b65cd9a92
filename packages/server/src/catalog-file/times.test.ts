import { afterAll, beforeAll, expect, test } from 'vitest';
import { openSandbox, type Sandbox, startTestApp, type TestApp } from '../billing/sandbox.test-support.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(async () => {
  await app.stop();
});

type Json = ReturnType<typeof JSON.parse>;
const NOW = '2026-11-21T10:00:00Z';
const DECEMBER = '2026-12-01T00:00:00Z';

const apply = (box: Sandbox, file: object, status = 200): Promise<Json> =>
  box.call('POST', '/v1/catalog/apply', file, status);
const card = (amount: string, effective_from?: string) => ({
  currency: 'USD',
  prices: [{ meter: 'requests', charge_model: { type: 'per_unit', unit_amount: amount } }],
  ...(effective_from !== undefined && { effective_from }),
});
const price = (input: string, effective_from?: string) => ({
  provider: 'openai',
  model: 'gpt-5*',
  per_million_tokens: { input },
  source: 'contract',
  ...(effective_from !== undefined && { effective_from }),
});
const versions = async (box: Sandbox, path: string): Promise<Json[]> =>
  (await box.call('GET', `${path}/versions`)).data;

test('a card that is new takes its whole history, in order', async () => {
  const box = await openSandbox(app, NOW);
  const history = [card('1', '2026-10-01T00:00:00Z'), card('3', DECEMBER), card('2')];
  expect(await apply(box, { rate_cards: { default: history } })).toMatchObject({ created: 3 });
  const found = await versions(box, '/v1/rate_cards/default');
  expect(found.map((one) => [one.effective_from, one.prices[0].charge_model.unit_amount])).toEqual([
    [DECEMBER, '3'],
    ['2026-10-01T00:00:00Z', '1'],
    ['2000-01-01T00:00:00Z', '2'],
  ]);
  expect(await apply(box, { rate_cards: { default: history } })).toMatchObject({
    created: 0,
    changed: 0,
    unchanged: 2,
  });
});

test('a price that differs holds at once, and what is to come stays to come', async () => {
  const box = await openSandbox(app, NOW);
  await apply(box, { rate_cards: { default: [card('1'), card('3', DECEMBER)] } });
  await box.moveTo('2026-11-25T00:00:00Z');
  const answer = await apply(box, { rate_cards: { default: [card('2'), card('4', DECEMBER)] } });
  expect(answer.differences.map((one: Json) => [one.action, one.effective_from ?? null, one.changes[0]])).toEqual([
    ['change', null, { pointer: '/prices/0/charge_model/unit_amount', old: '1', new: '2' }],
    ['change', DECEMBER, { pointer: '/prices/0/charge_model/unit_amount', old: '3', new: '4' }],
  ]);
  const found = await versions(box, '/v1/rate_cards/default');
  expect(found.slice(0, 2).map((one) => one.effective_from)).toEqual([DECEMBER, '2026-11-25T00:00:00Z']);
  const { rate_cards: exported } = await box.call('GET', '/v1/catalog');
  expect(exported.default).toEqual([card('2'), card('4', DECEMBER)]);
  await box.moveTo('2026-12-02T00:00:00Z');
  expect((await box.call('GET', '/v1/catalog')).rate_cards.default).toEqual(card('4'));
});

test('a version that was published under another scheduled one still comes into force at once when the file says so', async () => {
  const box = await openSandbox(app, NOW);
  await apply(box, { rate_cards: { default: [card('1'), card('2', DECEMBER)] } });
  // The latest version says this already, but from December on.
  expect(await apply(box, { rate_cards: { default: card('2') } })).toMatchObject({ changed: 1 });
  expect((await box.call('GET', '/v1/catalog')).rate_cards.default).toEqual([card('2'), card('2', DECEMBER)]);
});

test('a card cannot be said to have been another since an instant that has passed', async () => {
  const box = await openSandbox(app, NOW);
  await apply(box, { rate_cards: { default: [card('1'), card('2', DECEMBER)] } });
  await box.moveTo('2026-12-05T00:00:00Z');
  const edited = await apply(box, { rate_cards: { default: [card('1'), card('2.5', DECEMBER)] } }, 400);
  expect(edited.errors).toMatchObject([{ pointer: '/rate_cards/default/1/effective_from' }]);
  const older = await apply(box, { rate_cards: { default: card('1', '2026-11-30T00:00:00Z') } }, 400);
  expect(older.errors).toMatchObject([
    { pointer: '/rate_cards/default/effective_from', detail: 'another version came into force later and holds now' },
  ]);
});

test('a provider price may begin in the past, but not before the one that holds', async () => {
  const box = await openSandbox(app, NOW);
  const prices = (one: object | object[]) => ({ provider_price_overrides: { contract: one } });
  await apply(box, prices([price('1'), price('2', '2026-11-10T00:00:00Z')]));
  expect(await apply(box, prices(price('3', '2026-11-15T00:00:00Z')))).toMatchObject({ changed: 1 });
  const late = await apply(box, prices(price('4', '2026-11-12T00:00:00Z')), 400);
  expect(late.errors).toMatchObject([{ pointer: '/provider_price_overrides/contract/effective_from' }]);
  await box.call('DELETE', '/v1/provider_price_overrides/contract', undefined, 204);
  expect(await box.call('GET', '/v1/catalog')).toEqual({});
  expect(await apply(box, prices(price('3')))).toMatchObject({ created: 1 });
  expect(await box.call('GET', '/v1/catalog')).toEqual(prices(price('3')));
});

test('an override keeps its beginning, may end otherwise, and once ended its key is spent', async () => {
  const box = await openSandbox(app, NOW);
  await box.card({ type: 'free' }, 'vip');
  const overrides = (spec: object) => ({ customer_overrides: { acme: { deal: { rate_card: 'vip', ...spec } } } });
  expect(await apply(box, overrides({}))).toMatchObject({ created: 1 });
  expect(await apply(box, overrides({}))).toMatchObject({ unchanged: 1, created: 0 });
  await box.moveTo('2026-11-25T00:00:00Z');
  expect(await apply(box, overrides({ effective_from: NOW }))).toMatchObject({ unchanged: 1 });
  const ends = await apply(box, overrides({ effective_to: DECEMBER }));
  expect(ends.differences[0].changes).toEqual([{ pointer: '/effective_to', new: DECEMBER }]);
  const moved = await apply(box, overrides({ effective_from: '2026-11-22T00:00:00Z' }), 400);
  expect(moved.errors).toMatchObject([{ pointer: '/customer_overrides/acme/deal/rate_card' }]);
  await box.moveTo('2026-12-05T00:00:00Z');
  expect(await apply(box, overrides({ effective_to: DECEMBER }))).toMatchObject({ unchanged: 1 });
  expect(await box.call('GET', '/v1/catalog')).not.toHaveProperty('customer_overrides');
  const again = await apply(box, overrides({}), 400);
  expect(again.errors).toMatchObject([
    { pointer: '/customer_overrides/acme/deal', remedy: 'make another under a new key' },
  ]);
  const put = await box.call('PUT', '/v1/customers/acme/overrides/deal', { rate_card: 'vip' }, 409);
  expect(put.errors).toMatchObject([{ detail: 'it has ended' }]);
});

test('an override makes room for the next one, whichever the file names first', async () => {
  const box = await openSandbox(app, '2026-01-01T00:00:00Z');
  await box.card({ type: 'per_unit', unit_amount: '1' }, 'vip');
  const apply = (acme: object, status = 200) =>
    box.call('POST', '/v1/catalog/apply', { customer_overrides: { acme } }, status);
  const [february, march] = ['2026-02-01T00:00:00Z', '2026-03-01T00:00:00Z'];
  await apply({ old: { rate_card: 'vip' } });
  const next = { rate_card: 'vip', effective_from: february };
  const handover = { new: next, old: { rate_card: 'vip', effective_to: february } };
  expect(await apply(handover)).toMatchObject({ created: 1, changed: 1 });
  const later = { old: { rate_card: 'vip', effective_to: march }, new: { ...next, effective_from: march } };
  expect(await apply(later)).toMatchObject({ created: 0, changed: 2 });
  const refused = await apply({ other: next, old: { rate_card: 'vip' } }, 400);
  expect(refused.errors.map((one: { pointer: string }) => one.pointer)).toEqual([
    '/customer_overrides/acme/other/effective_from',
    '/customer_overrides/acme/old/effective_from',
  ]);
  expect(await box.audit()).toBe(0);
});

test('whoever applies at the same time takes turns: each file is there whole, and a difference is applied once', async () => {
  const box = await openSandbox(app, NOW);
  const file = (number: number) => ({
    rate_cards: { default: card(String(number)) },
    plans: { pro: { name: `Pro ${number}`, currency: 'USD', rate_card: 'default' } },
  });
  const path = '/v1/catalog/apply';
  await box.call('POST', path, file(8));
  const seen: string[] = [];
  const read = async () => {
    const found = await box.call('GET', '/v1/catalog');
    const amount = found.rate_cards.default.prices[0].charge_model.unit_amount;
    if (found.plans.pro.name !== `Pro ${amount}`) seen.push(`${found.plans.pro.name} with ${amount}`);
  };
  const numbers = [1, 2, 3, 4, 5, 6];
  const answers = await Promise.all(numbers.flatMap((number) => [box.call('POST', path, file(number)), read()]));
  expect(answers.filter((answer) => answer?.changed === 2)).toHaveLength(numbers.length);
  expect(seen).toEqual([]);
  expect(await versions(box, '/v1/plans/pro')).toHaveLength(numbers.length + 1);

  const { difference_id: id } = await box.call('POST', `${path}?dry_run=true`, file(9));
  const raced = await Promise.all(
    numbers.map((number) =>
      app.call('POST', `${path}?difference_id=${id}`, {
        key: box.key,
        body: file(9),
        headers: { 'x-request-id': `r${number}` },
      }),
    ),
  );
  expect(raced.filter((answer) => answer.status === 200)).toHaveLength(1);
  expect(raced.filter((answer) => answer.status === 409)).toHaveLength(numbers.length - 1);
  expect(await versions(box, '/v1/plans/pro')).toHaveLength(numbers.length + 2);
});

test('events are rated by what was applied as soon as that is answered', async () => {
  const box = await openSandbox(app, NOW);
  const send = async (id: string) => {
    const event = { id, source: 's', type: 'api.call', subject: 'acme', time: NOW, data: { count: 1 } };
    await box.send(event);
    const { lines } = await box.call('GET', `/v1/events/lookup?source=s&id=${id}`);
    return lines.map((line: Json) => line.amount);
  };
  const priced = (amount: string) => ({
    rate_cards: {
      default: {
        currency: 'USD',
        prices: [{ meter: 'api_calls', charge_model: { type: 'per_unit', unit_amount: amount } }],
      },
    },
  });
  await apply(box, priced('1'));
  expect(await send('a')).toEqual(['1']);
  await box.call('POST', '/v1/catalog/apply?dry_run=true', priced('2'));
  expect(await send('b')).toEqual(['1']);
  await apply(box, priced('2'));
  expect(await send('c')).toEqual(['2']);
});
