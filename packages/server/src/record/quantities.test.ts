import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestApp, type TestApp } from '../http/test-app.test-support.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.stop());

const TIME = '2026-11-20T10:00:00Z';
let sent = 0;

/** Quantities and flags of one event, as its explanation has them. */
async function metered(type: string, data: object) {
  sent += 1;
  const body = { id: `q${sent}`, type, subject: 'acme', time: TIME, data };
  expect((await app.call('POST', '/v1/events', { body })).body).toMatchObject({ accepted: 1 });
  const { body: event } = await app.call('GET', `/v1/events/lookup?source=api&id=q${sent}`);
  const quantities: { meter: string; quantity: string }[] = event.quantities;
  const flags: { code: string }[] = event.flags;
  return [
    quantities.filter(({ meter }) => meter !== 'requests').map(({ meter, quantity }) => `${meter} ${quantity}`),
    flags.map(({ code }) => code),
  ];
}

const call = (units: object) => ['llm.call', { tokens: {}, units }] as const;

test.each([
  ['searches as whole decimal text', ...call({ web_searches: '3.0' }), ['web_searches 3'], []],
  ['a part of a search', ...call({ web_searches: '2.5' }), [], ['invalid_quantity']],
  ['a part of a page', ...call({ pages: '2.50' }), ['pages 2.5'], []],
  ['as many searches as may be', ...call({ web_searches: '1000000000000' }), ['web_searches 1000000000000'], []],
  ['one search more', ...call({ web_searches: '1000000000001' }), [], ['quantity_too_large']],
  ['pages beyond every document', ...call({ pages: '1000000000000.5' }), [], ['quantity_too_large']],
  ['as many calls as may be', 'api.call', { count: 1e12 }, ['api_calls 1000000000000'], []],
  ['more calls', 'api.call', { count: 5e12 }, [], ['quantity_too_large']],
  ['more documents', 'retrieval.query', { documents: 5e12 }, ['retrievals 1'], ['quantity_too_large']],
  ['no number of calls', 'api.call', { count: 'many' }, ['api_calls 1'], ['invalid_quantity']],
])('%s', async (_name, type, data, quantities, flags) => {
  expect(await metered(type, data)).toEqual([quantities, flags]);
});

test('searches beyond the limit spoil no sum of their minute', async () => {
  const key = await app.environment('searches');
  const body = ['999999999999999', '999999999999999', '7'].map((searches, index) => {
    const data = { tokens: { input: 1, output: 1 }, units: { web_searches: searches } };
    return { id: `s${index}`, type: 'llm.call', subject: 'acme', time: TIME, data };
  });
  await app.call('POST', '/v1/events', { key, body });
  const range = 'from=2026-11-20T00:00:00Z&to=2026-11-21T00:00:00Z';
  const { rows } = (await app.call('GET', `/v1/usage?meter=web_searches&${range}`, { key })).body;
  expect(rows).toMatchObject([{ value: '7' }]);
  expect((await app.call('POST', '/v1/audit', { key })).body.difference_count).toBe(0);
});
