import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestErgon, type TestErgon } from '../ergon.test-support.ts';
import { EXIT_CODE } from '../exit-code.ts';

let ergon: TestErgon;
beforeAll(async () => {
  ergon = await startTestErgon();
});
afterAll(() => ergon.stop());

function file(name: string, value: unknown): string {
  const path = join(ergon.directory, name);
  writeFileSync(path, JSON.stringify(value));
  return path;
}

test('where there is nothing to list, that is said', async () => {
  expect((await ergon.run('plans')).out).toMatch(/^No plans\./);
  expect((await ergon.run('subscriptions')).out).toBe('No subscriptions.\n');
});

test('a plan is published, subscribed to, shown, changed and cancelled', async () => {
  const fees = [{ key: 'base', amount: '20' }];
  const put = await ergon.run('plan', 'put', 'pro', file('pro.json', { currency: 'USD', fees }));
  expect(put).toEqual({ code: EXIT_CODE.ok, out: 'Published plan pro version 1, billed every month.\n', error: '' });
  await ergon.run('plan', 'put', 'max', file('max.json', { currency: 'USD', fees: [{ key: 'base', amount: '50' }] }));
  expect((await ergon.run('plans')).out).toMatch(/^pro +1 +every month +20\.00 +USD +the customer's$/m);
  expect(JSON.parse((await ergon.run('plan', 'get', 'pro')).out).spec.fees).toMatchObject(fees);
  const made = await ergon.run('subscribe', 'acme', 'pro', '--as', 's', '--time-zone', 'Europe/Athens');
  expect(made.out).toMatch(/status +active\nplan +pro v1\nbilled +every month from \d{4}-\d\d-\d\d, Europe\/Athens\n/);
  expect((await ergon.run('subscriptions', '--customer', 'acme')).out).toMatch(/^s +acme +pro v1 +active/m);
  expect((await ergon.run('subscription', 'lines', 's', '1')).out).toMatch(/^fee +pro: base +20\.00 +USD/m);
  const later = await ergon.run('subscription', 'change', 's', 'max', '--at-period-end');
  expect(later.out).toContain('pro v1 -> max v1');
  expect((await ergon.run('subscription', 'show', 's')).out).toMatch(/^ +1 +\d{4}-.* open/m);
  expect((await ergon.run('subscription', 'cancel', 's')).out).toMatch(/status +cancelling/);
  expect((await ergon.run('subscription', 'cancel', 's', '--now')).out).toMatch(/status +ended/);
  expect((await ergon.run('subscription', 'show', 'none')).code).toBe(EXIT_CODE.notFound);
});

test('a subscription may begin later', async () => {
  await ergon.run('plan', 'put', 'later', file('later.json', { currency: 'USD' }));
  const made = await ergon.run('subscribe', 'gamma', 'later', '--starts', '2099-12-01', '--trial-days', '7');
  expect(made).toMatchObject({ code: EXIT_CODE.ok, out: expect.stringMatching(/begins +2099-12-01T00:00:00Z/) });
});

test('an entitlement says how much is left and what enforces it', async () => {
  await ergon.run('plan', 'put', 'free', file('free.json', { currency: 'USD' }));
  await ergon.run('subscribe', 'beta', 'free');
  const found = await ergon.run('entitlement', 'beta', 'tokens');
  expect(found.out).toMatch(/feature +tokens\naccess +no\n/);
  expect(JSON.parse((await ergon.run('entitlement', 'beta', 'tokens', '--json')).out)).toMatchObject({ type: null });
});

test('what is wrong with a plan is said, with the member at fault', async () => {
  const wrong = await ergon.run('plan', 'put', 'bad', file('bad.json', { currency: 'USD', rate_card: 'none' }));
  expect(wrong.code).toBe(EXIT_CODE.failed);
  expect(wrong.error).toContain('there is no rate card none');
});
