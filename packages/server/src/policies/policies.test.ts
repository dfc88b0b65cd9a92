import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestApp, type TestApp } from '../http/test-app.test-support.ts';

let server: TestApp;
beforeAll(async () => {
  server = await startTestApp();
});
afterAll(async () => {
  await server.stop();
});

async function call(method: string, path: string, body?: unknown, status = 200) {
  const answer = await server.call(method, path, body === undefined ? {} : { body });
  expect(answer.status, answer.text).toBe(status);
  return answer.body;
}

const ask = (inputs: Readonly<Record<string, unknown>>) => call('POST', '/v1/decisions', { subject: 'call_1', inputs });
const ladder = (at: string) => [
  { at_least: '1', action: 'notify', reason: 'dear' },
  { at_least: at, action: 'refuse' },
];
const dear = (at: string) => ({ mode: 'enforce', scope: { model: 'gpt-5*' }, metric: 'charge', ladder: ladder(at) });

test('without policies everything is allowed and nothing is recorded', async () => {
  expect(await ask({ model: 'gpt-5' })).toMatchObject({ id: null, action: 'allow', is_admitted: true });
  expect((await call('GET', '/v1/decisions')).data).toEqual([]);
});

test('versions are published, in force at once, and never edited', async () => {
  expect(await call('PUT', '/v1/policies/dear-calls', dear('10'))).toMatchObject({ version: 1 });
  expect(await call('PUT', '/v1/policies/dear-calls', dear('10')), 'the same again').toMatchObject({ version: 1 });
  expect(await ask({ customer: 'acme', model: 'gpt-5', metrics: { charge: '7' } })).toMatchObject({ action: 'notify' });
  expect(await call('PUT', '/v1/policies/dear-calls', dear('5'))).toMatchObject({ version: 2 });
  expect(await ask({ customer: 'acme', model: 'gpt-5', metrics: { charge: '7' } })).toMatchObject({
    ...{ action: 'refuse', is_admitted: false },
    matches: [{ policy: 'dear-calls', version: 2 }],
  });
  const versions = (await call('GET', '/v1/policies/dear-calls/versions')).data;
  expect(versions.map((one: { version: number }) => one.version)).toEqual([2, 1]);
  expect([versions[0].ended_at, versions[1].ended_at]).toEqual([null, versions[0].created_at]);
  for (const statement of [
    'update policy_version set version = 9',
    'delete from policy_version',
    `update policy_decision set action = 'allow'`,
  ])
    await expect(server.database.pool.query(statement)).rejects.toThrow(/append-only/);
});

test('notify tells once an hour and customer', async () => {
  for (let round = 0; round < 3; round++) await ask({ customer: 'told', model: 'gpt-5', metrics: { charge: '2' } });
  const told = await server.database.pool.query(`select data from outbox_event where customer = 'told'`);
  expect(told.rows).toMatchObject([{ data: { policy: 'dear-calls', reason: 'dear' } }]);
});

test('every decision can be replayed as it was, whatever is in force now; a proposal shows its difference', async () => {
  for (const charge of ['0.5', '3', '4.9', '5'])
    await ask({ customer: 'replayed', model: 'gpt-5', metrics: { charge } });
  const as = await call('POST', '/v1/policies/dear-calls/replay', {});
  expect(as).toMatchObject({ different: [] });
  expect(as.same).toBe(as.decisions);
  expect(as.decisions).toBeGreaterThanOrEqual(9);
  const proposal = await call('POST', '/v1/policies/dear-calls/replay', { document: dear('3'), limit: 4 });
  expect(proposal).toMatchObject({ decisions: 4, same: 2 });
  expect(proposal.different).toMatchObject([
    { customer: 'replayed', recorded: 'notify', replayed: 'refuse' },
    { customer: 'replayed', recorded: 'notify', replayed: 'refuse' },
  ]);
  // A record that was tampered with (the database refuses it; here its trigger is put aside) does not replay.
  await server.database.pool.query(`alter table policy_decision disable trigger policy_decision_append_only`);
  await server.database.pool.query(`update policy_decision set inputs = jsonb_set(inputs, '{metrics,charge}', '"99"')
    where customer = 'replayed' and inputs -> 'metrics' ->> 'charge' = '0.5'`);
  await server.database.pool.query(`alter table policy_decision enable trigger policy_decision_append_only`);
  expect((await call('POST', '/v1/policies/dear-calls/replay', {})).different).toHaveLength(1);
});

test('a shadow policy refuses nobody and says whom it had', async () => {
  await call('PUT', '/v1/policies/night', {
    mode: 'shadow',
    condition: 'customer == "owl"',
    ladder: [{ action: 'refuse' }],
  });
  expect(await ask({ customer: 'owl' })).toMatchObject({
    ...{ action: 'allow', is_admitted: true },
    shadow: { action: 'refuse', is_admitted: false, differs: true },
  });
  await call('DELETE', '/v1/policies/night', undefined, 204);
  await call('DELETE', '/v1/policies/night', undefined, 404);
  const [last] = (await call('GET', '/v1/policies/night/versions')).data;
  expect(last.ended_at).not.toBeNull();
  expect(await ask({ customer: 'owl' })).toMatchObject({ matches: [] });
});

test('decisions are listed and filtered, and environments are apart', async () => {
  const refused = await call('GET', '/v1/decisions?action=refuse&customer=acme');
  expect(refused.data).toMatchObject([{ subject: 'call_1', inputs: { model: 'gpt-5', metrics: { charge: '7' } } }]);
  expect(await call('GET', `/v1/decisions/${refused.data[0].id}`)).toEqual(refused.data[0]);
  const key = await server.environment('apart');
  expect((await server.call('GET', '/v1/policies', { key })).body.data).toEqual([]);
  expect((await server.call('GET', '/v1/decisions', { key })).body.data).toEqual([]);
  expect((await server.call('GET', `/v1/decisions/${refused.data[0].id}`, { key })).status).toBe(404);
  expect((await server.call('POST', '/v1/policies/dear-calls/replay', { key, body: {} })).status).toBe(404);
});

test.each([
  [{ mode: 'enforce', condition: 'model.matches("x")', ladder: [{ action: 'refuse' }] }, '/condition'],
  [{ mode: 'enforce', ladder: [] }, '/ladder'],
  [{ mode: 'sometimes', ladder: [{ action: 'refuse' }] }, '/mode'],
])('the document %j is refused at %s', async (document, pointer) => {
  const answer = await server.call('PUT', '/v1/policies/broken', { body: document });
  expect(answer.status).toBe(400);
  expect(answer.body.errors[0]).toMatchObject({ pointer });
});

test('nothing went wrong unseen', () => {
  expect(server.errors).toEqual([]);
});
