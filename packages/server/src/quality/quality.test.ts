import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestApp, type TestApp } from '../http/test-app.test-support.ts';
import { REMEDIES } from './kinds.ts';

let server: TestApp;
beforeAll(async () => {
  server = await startTestApp();
});
afterAll(async () => {
  await server.stop();
});

let serial = 0;
type Call = Readonly<Record<string, unknown>>;

function event(subject: string, data: Call, more: Call = {}): Call {
  serial += 1;
  return { id: `e${serial}`, source: 'app', type: 'llm.call', subject, data: { model: 'gpt-5', ...data }, ...more };
}

async function send(events: readonly Call[], key?: string) {
  const answer = await server.call('POST', '/v1/events', { body: events, ...(key !== undefined && { key }) });
  expect(answer.status).toBe(200);
  return answer.body;
}

async function findings(customer: string, query = '', key?: string) {
  const answer = await server.call('GET', `/v1/customers/${customer}/data_quality${query}`, {
    ...(key !== undefined && { key }),
  });
  expect(answer.status).toBe(200);
  return answer.body.data;
}

const sound = { tokens: { input: 10, output: 5 } };

const mistakes: readonly { name: string; data: Call; kinds: readonly string[] }[] = [
  { name: 'a sound call', data: sound, kinds: [] },
  { name: 'output tokens only', data: { tokens: { output: 5 } }, kinds: ['output_tokens_only'] },
  { name: 'input tokens only', data: { tokens: { input: 5 } }, kinds: ['input_tokens_only'] },
  { name: 'no model', data: { ...sound, model: undefined }, kinds: ['no_model'] },
  { name: 'a month in one event', data: { tokens: { input: 90_000_000, output: 1 } }, kinds: ['lump_sum'] },
  { name: 'a run in one event', data: { tokens: { input: 3_000_000, output: 1 } }, kinds: ['whole_run'] },
  { name: 'two hours', data: { ...sound, duration_ms: 7_200_000 }, kinds: ['whole_run'] },
  { name: 'no usage', data: {}, kinds: ['no_usage'] },
  { name: 'a failed call without usage', data: { status: 'error' }, kinds: [] },
  {
    name: 'a total that does not add up',
    data: {
      provider: 'openai',
      api: 'chat.completions',
      usage: { prompt_tokens: 5, completion_tokens: 5, total_tokens: 7 },
    },
    kinds: ['totals_do_not_add_up'],
  },
];

test.each(mistakes)('$name is warned of at once and listed', async ({ name, data, kinds }) => {
  const customer = name.replaceAll(' ', '-');
  const bad = event(customer, data);
  const answer = await send([event(customer, sound), bad]);
  expect(answer.accepted).toBe(2);
  expect(answer.warnings).toEqual(kinds.map((code) => ({ index: 1, code, detail: expect.any(String) })));
  expect(await findings(customer)).toEqual(
    kinds.map((kind) => ({
      kind,
      events: '1',
      first_seen: expect.any(String),
      last_seen: expect.any(String),
      example: { source: 'app', id: bad.id },
      detail: answer.warnings[0].detail,
      remedy: Object.entries(REMEDIES).find(([known]) => known === kind)?.[1],
    })),
  );
});

test('usage that comes by two doors is found by its call id, or by its figures', async () => {
  const calls = Array.from({ length: 6 }, (_, index) => ({ tokens: { input: 1_000 + index, output: 9 } }));
  const at = { time: new Date().toISOString() };
  await send(calls.map((data) => event('twice', data, at)));
  const again = await send(calls.map((data) => event('twice', data, { ...at, source: 'logs' })));
  expect(again.warnings).toEqual([{ code: 'arrives_twice', detail: expect.stringContaining('app and logs') }]);
  await send([event('named', { ...sound, tokens: { input: 500, output: 1 }, call_id: 'c1' })]);
  const named = await send([event('named', { tokens: { input: 700, output: 1 }, call_id: 'c1' }, { source: 'otel' })]);
  expect(named.warnings).toEqual([{ code: 'arrives_twice', detail: expect.stringContaining('call c1') }]);
  const response = { tokens: { input: 500, output: 1 }, response_id: 'resp_1' };
  await send([event('response', response)]);
  expect((await send([event('response', response, { source: 'otel' })])).warnings).toHaveLength(1);
  expect(await findings('twice')).toMatchObject([{ kind: 'arrives_twice', events: '6' }]);
});

test('the sources of a customer are compared over any time; a void of one door mends it', async () => {
  const sent = (source: string) =>
    Array.from({ length: 6 }, (_, index) =>
      event('doors', { tokens: { input: 2_000 + index, output: 9 } }, { source, time: '2026-11-20T10:00:00Z' }),
    );
  const [gateway, logs] = [sent('gateway'), sent('logs')];
  const span = '?from=2026-11-20T00:00:00Z&to=2026-11-21T00:00:00Z';
  // Another process would not have seen the first six; here they are read again.
  await send([...gateway, ...logs]);
  const compare = async () => (await server.call('GET', `/v1/customers/doors/data_quality/sources${span}`)).body;
  expect(await compare()).toMatchObject({
    events_examined: 12,
    is_complete: true,
    sources: [
      { source: 'gateway', calls: 6, failed: 0 },
      { source: 'logs', calls: 6, failed: 0 },
    ],
    findings: [{ kind: 'arrives_twice', detail: expect.stringContaining('6 calls'), remedy: REMEDIES.arrives_twice }],
  });
  await send(logs.map(({ id }) => ({ id: `void-${String(id)}`, type: 'event.void', data: { source: 'logs', id } })));
  expect(await compare()).toMatchObject({ events_examined: 6, findings: [] });
  expect((await server.call('GET', '/v1/customers/nobody/data_quality/sources')).status).toBe(404);
});

test('a duplicate is no second door, and is not warned of again', async () => {
  const bad = event('same', { tokens: { output: 3 } });
  expect((await send([bad])).warnings).toHaveLength(1);
  expect(await send([bad])).toMatchObject({ duplicates: 1, warnings: [] });
  expect(await findings('same')).toMatchObject([{ events: '1' }]);
});

test('two thousand calls and no failure are a sign; one failure is enough', async () => {
  const many = (customer: string) => Array.from({ length: 2_000 }, () => event(customer, sound));
  await send([event('honest', { status: 'error' })]);
  expect((await send(many('honest'))).warnings).toEqual([]);
  // The figures are small, so twins within a minute say nothing.
  expect((await send(many('flawless'))).warnings).toMatchObject([{ code: 'no_failures' }]);
});

test('a thousand bad events make a bounded answer and one row', async () => {
  const answer = await send(Array.from({ length: 1_000 }, () => event('noisy', { tokens: { output: 1 } })));
  expect(answer.warnings).toHaveLength(101);
  expect(answer.warnings.at(-1).code).toBe('more_warnings');
  await send(Array.from({ length: 500 }, () => event('noisy', { tokens: { output: 1 } })));
  expect(await findings('noisy')).toMatchObject([{ kind: 'output_tokens_only', events: '1500' }]);
  const rows = await server.database.pool.query(
    `select from data_quality q join customer c on c.id = q.customer_id where c.external_id = 'noisy'`,
  );
  expect(rows.rowCount).toBe(1);
});

test('other environments, other times and unknown customers', async () => {
  const key = await server.environment('quality-other');
  await send([event('shared', { tokens: { output: 1 } })]);
  await send([event('shared', {}, {})], key);
  expect((await findings('shared')).map((one: Call) => one.kind)).toEqual(['output_tokens_only']);
  expect((await findings('shared', '', key)).map((one: Call) => one.kind)).toEqual(['no_usage']);
  expect(await findings('shared', '?to=2020-01-01T00:00:00Z&from=2019-01-01T00:00:00Z')).toEqual([]);
  expect((await server.call('GET', '/v1/customers/nobody/data_quality')).status).toBe(404);
  const backwards = await server.call('GET', '/v1/customers/shared/data_quality?from=2030-01-01T00:00:00Z');
  expect(backwards).toMatchObject({ status: 400, body: { errors: [{ parameter: 'from' }] } });
});

test('an event of nobody is warned of, and on no list', async () => {
  const answer = await send([{ id: 'nobody', type: 'llm.call', data: { tokens: { output: 1 } } }]);
  expect(answer.warnings.map((one: Call) => one.code)).toEqual(['no_model', 'output_tokens_only']);
});
