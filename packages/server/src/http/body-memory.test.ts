import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { LIMITS } from '../limits.ts';
import { BodyMemory } from './body-memory.ts';
import { startTestApp, type TestApp } from './test-app.test-support.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.stop());

test('a compressed body takes the memory of what it holds', async () => {
  const padding = ' '.repeat(4 * 1024 * 1024);
  const raw = Uint8Array.from(gzipSync(`[${padding}{"id":"a","type":"x"}]`));
  const send = () => app.call('POST', '/v1/events', { raw, headers: { 'content-encoding': 'gzip' } });
  const others = new BodyMemory();
  others.take(LIMITS.inFlightBytesMax - 1024 * 1024);
  expect(raw.length).toBeLessThan(1024 * 1024);
  expect(await send()).toMatchObject({ status: 503, body: { code: 'overloaded', retryable: true } });
  others.release();
  expect(await send()).toMatchObject({ status: 200, body: { accepted: 1 } });
  // Both have given back what they took.
  const all = new BodyMemory();
  all.take(LIMITS.inFlightBytesMax);
  all.release();
});
