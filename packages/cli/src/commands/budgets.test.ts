import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestErgon, type TestErgon } from '../ergon.test-support.ts';
import { EXIT_CODE } from '../exit-code.ts';

let ergon: TestErgon;
beforeAll(async () => {
  ergon = await startTestErgon();
});
afterAll(async () => {
  await ergon.stop();
});

const done = { code: EXIT_CODE.ok, error: '' };

test('a budget is set, changed, listed, shown and ended', async () => {
  expect((await ergon.run('budgets')).out).toMatch(/^No budgets: nothing is limited\./);
  const flags = ['--customer', 'acme', '--model', 'gpt-5*', '--tag', 'region=eu-1', '--time-zone', 'Europe/Athens'];
  const set = await ergon.run('budget', 'set', 'acme-daily', '50', ...flags);
  expect(set).toMatchObject(done);
  expect(set.out).toMatch(
    /scope +customer=acme model=gpt-5\* region:eu-1\nlimit +50\.00 USD\nwindow +day, Europe\/Athens/,
  );
  expect((await ergon.run('budget', 'set', 'acme-daily', '60', ...flags)).out).toMatch(/limit +60\.00 USD/);
  const other = await ergon.run('budget', 'set', 'acme-daily', '60', '--window', 'week');
  expect(other).toMatchObject({ code: EXIT_CODE.failed });
  expect(other.error).toContain('acme-daily');
  await ergon.run('budget', 'set', 'users', '100000', '--unit', 'tokens', '--window', 'rolling:24h', '--per', 'user');
  const list = await ergon.run('budgets');
  expect(list.out).toMatch(/^acme-daily .+ day +enforce +60\.00 +USD +0 +0 +60\.00$/m);
  expect(list.out).toMatch(/^users +everything, each user +rolling:24h +enforce +100,?000/m);
  expect(JSON.parse((await ergon.run('budgets', '--json')).out).data).toHaveLength(2);
  expect((await ergon.run('budget', 'end', 'users')).out).toBe('Ended users.\n');
  expect((await ergon.run('budget', 'show', 'users')).code).toBe(EXIT_CODE.notFound);
  expect((await ergon.run('budget', 'end', 'acme-daily', '--json')).out).toBe('{"ended":"acme-daily"}\n');
});

test.each([
  [['budget', 'set', 'x', 'much'], 'is no limit'],
  [['budget', 'set', 'x', '5', '--tag', 'red'], 'expected name=value'],
  [['hold', 'h', 'much'], 'is no amount'],
  [['hold', 'h', '1', '--amounts', 'tokens'], 'is no amount'],
  [['settle', 'h'], 'nothing to settle at'],
  [['hold', 'h', '1', '--expires-in', 'soon'], 'whole number of seconds'],
])('%j is wrong usage', async (argv, message) => {
  const ran = await ergon.run(...argv);
  expect(ran.code).toBe(EXIT_CODE.usage);
  expect(ran.error).toContain(message);
});

test('a hold is taken, shown, settled and released; one that does not fit is refused by name', async () => {
  await ergon.run('budget', 'set', 'daily', '1', '--customer', 'acme');
  await ergon.run('grant', 'acme', '10');
  const held = await ergon.run('hold', 'call_1', '0.6', '--customer', 'acme', '--amounts', 'tokens=2500');
  expect(held).toMatchObject(done);
  expect(held.out).toMatch(/status +pending\nset aside +0\.60 USD, 2500 tokens, 1 requests\n/);
  expect(held.out).toMatch(/counts at +wallet acme\/\w+, budget daily\nexpires +\d{4}-/);
  expect((await ergon.run('hold', 'call_1')).out).toBe(held.out);
  const refused = await ergon.run('hold', 'call_2', '0.5', '--customer', 'acme');
  expect(refused.code).toBe(EXIT_CODE.failed);
  expect(refused.error).toContain('the budget daily has 0.4 left of charge, and the hold asks 0.5');
  const settled = await ergon.run('settle', 'call_1', '0.25', '--amounts', 'tokens=900');
  expect(settled.out).toMatch(/status +settled\n.+\nsettled at +0\.25 USD, 900 tokens, 1 requests/);
  expect((await ergon.run('settle', 'call_1', '0.3')).code).toBe(EXIT_CODE.failed);
  await ergon.run('hold', 'call_2', '0.5', '--customer', 'acme', '--run', 'r1', '--parent-run', 'r0', '--tag', 'a=b');
  expect((await ergon.run('budget', 'show', 'daily')).out).toMatch(/^all +\S+ +0\.25 +0\.50 +0\.25$/m);
  expect((await ergon.run('release', 'call_2')).out).toMatch(/status +released/);
  expect(JSON.parse((await ergon.run('hold', 'call_2', '--json')).out).status).toBe('released');
  expect((await ergon.run('release', 'call_9')).code).toBe(EXIT_CODE.notFound);
});
