import { afterAll, beforeAll, expect, test } from 'vitest';
import { openSandbox, type Sandbox } from '../billing/sandbox.test-support.ts';
import { startTestApp, type TestApp } from '../http/test-app.test-support.ts';
import { forgetFindings } from '../quality/index.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.stop());

/** A call without a time and without its input, in a sandbox of another year. */
async function sandboxWithCall(now: string): Promise<Sandbox> {
  const box = await openSandbox(app, now);
  const data = { model: 'llama-3.1-70b', tokens: { output: 4 } };
  await box.send({ id: 'a', type: 'llm.call', subject: 'acme', data });
  return box;
}

test.each(['2021-03-01T00:00:00Z', '2029-03-01T00:00:00Z'])(
  'what a sandbox has just received is read without a range, at %s',
  async (now) => {
    const box = await sandboxWithCall(now);
    const get = (path: string) => box.call('GET', path);
    expect((await get('/v1/usage?meter=output_tokens')).rows).toMatchObject([{ value: '4' }]);
    expect((await get('/v1/reported_models')).data).toMatchObject([{ model: 'llama-3.1-70b', requests: '1' }]);
    expect((await get('/v1/compute/per_token')).rows).toMatchObject([{ requests: '1' }]);
    expect((await get('/v1/customers/acme/data_quality/sources')).sources).toMatchObject([{ calls: 1 }]);
    expect((await get('/v1/customers/acme/data_quality')).data).toMatchObject([{ kind: 'output_tokens_only' }]);
  },
);

test('findings are forgotten by the clock of their environment', async () => {
  const box = await sandboxWithCall('2021-03-01T00:00:00Z');
  const kinds = async () => (await box.call('GET', '/v1/customers/acme/data_quality?from=2021-01-01T00:00:00Z')).data;
  await forgetFindings(app.database.pool, app.services.now());
  expect(await kinds()).toHaveLength(1);
  await box.moveTo('2021-06-15T00:00:00Z');
  await forgetFindings(app.database.pool, app.services.now());
  expect(await kinds()).toEqual([]);
});
