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

/** Runs a command that must succeed. @returns what it printed. */
async function ran(...argv: string[]): Promise<string> {
  const { code, out, error } = await ergon.run(...argv);
  expect(error).toBe('');
  expect(code).toBe(EXIT_CODE.ok);
  return out;
}

test('a top-up is asked for, listed, paid and in the wallet; one by itself is set, shown and stopped', async () => {
  await ran('grant', 'acme', '5');
  expect(await ran('top-ups', 'list', 'acme')).toBe('No top-ups.\n');
  const asked = await ran('top-ups', 'request', 'acme', '50');
  const id = /top-up (\d+) of 50\.00 USD, pending/.exec(asked)?.[1] ?? '';
  expect(await ran('wallet', 'acme')).toMatch(/available +5\.00 USD/);
  expect(await ran('top-ups', 'paid', 'acme', id, '--reference', 'pay_1')).toMatch(
    /Paid: top-up \d+ of 50\.00 USD, paid, grant \d+/,
  );
  expect(await ran('wallet', 'acme')).toMatch(/available +55\.00 USD/);
  expect(await ran('top-ups', 'list', 'acme')).toMatch(/manual +50\.00 +USD +50\.00 +USD +paid/);
  const failing = JSON.parse(await ran('top-ups', 'request', 'acme', '1', '--json'));
  expect(await ran('top-ups', 'failed', 'acme', failing.id, '--reason', 'declined')).toMatch(/Failed: .* failed\./);
  expect(await ran('top-ups', 'auto', 'acme', '20', '--below', '10', '--cap', '100', '--per', 'day')).toBe(
    'acme (wallet default) is topped up by 20 below 10.\n',
  );
  expect(JSON.parse(await ran('top-ups', 'auto', 'acme'))).toMatchObject({
    auto_top_up: { amount: '20', threshold: '10', cap: { per: 'day', amount: '100' } },
  });
  expect(await ran('top-ups', 'stop', 'acme')).toBe('No automatic top-up any more.\n');
  const wrong = await ergon.run('top-ups', 'auto', 'acme', '20', '--every', 'day');
  const noAmount = await ergon.run('top-ups', 'auto', 'acme', '--below', '10');
  expect(noAmount).toMatchObject({ code: EXIT_CODE.usage, error: expect.stringContaining('needs its amount') });
  expect(wrong).toMatchObject({ code: EXIT_CODE.usage, error: expect.stringContaining('--every needs --from') });
});

test('alerts are set, shown and cleared', async () => {
  await ran('grant', 'alerted', '5');
  expect(await ran('alerts', 'alerted')).toBe('No alerts.\n');
  expect(await ran('alerts', 'alerted', '--amount', '3', '--hours', '24')).toMatch(/available below +3 +above +0/);
  expect(await ran('alerts', 'alerted', '--clear')).toBe('No alerts.\n');
});

test('webhooks are made, listed, rotated, tried and deleted', async () => {
  expect(await ran('webhooks', 'list')).toMatch(/^No endpoints/);
  const made = await ran('webhooks', 'create', 'https://example.com/hook', '--type', 'budget.*');
  expect(made).toMatch(/shown once: whsec_/);
  const id = /we_[0-9a-f]{24}/.exec(made)?.[0] ?? '';
  expect(await ran('webhooks', 'list')).toContain('budget.*');
  expect(await ran('webhooks', 'rotate', id)).toMatch(/whsec_/);
  expect(await ran('webhooks', 'deliveries')).toBe('No deliveries.\n');
  expect(await ran('webhooks', 'test', id)).toBe('A webhook.test is on its way.\n');
  expect(await ran('webhooks', 'delete', id)).toBe(`Deleted ${id}.\n`);
  const refused = await ergon.run('webhooks', 'create', 'http://10.0.0.1/');
  expect(refused.code).toBe(EXIT_CODE.failed);
  expect(refused.error).toMatch(/private/);
});

test('policies are published, asked, listed and replayed', async () => {
  const file = join(ergon.directory, 'policy.json');
  const document = { mode: 'enforce', metric: 'charge', ladder: [{ at_least: '5', action: 'refuse' }] };
  writeFileSync(file, JSON.stringify(document));
  expect(await ran('policies', 'put', 'dear', file)).toBe('Policy dear version 1 is in force (enforce).\n');
  expect(await ran('policies', 'list')).toMatch(/dear +1 +enforce +refuse/);
  for (const charge of ['4', '6']) {
    const request = new Request('http://test/v1/decisions', {
      method: 'POST',
      headers: { 'x-api-key': `ergon_0123456789abcdef_${'k'.repeat(43)}`, 'content-type': 'application/json' },
      body: JSON.stringify({ inputs: { customer: 'acme', metrics: { charge } } }),
    });
    expect((await ergon.fetch(request)).status).toBe(200);
  }
  expect(await ran('policies', 'decisions', '--action', 'refuse')).toMatch(/acme +- +refuse +dear \(enforce\)/);
  expect(await ran('policies', 'replay', 'dear')).toBe('2 decisions: 2 the same, 0 different.\n');
  writeFileSync(file, JSON.stringify({ ...document, ladder: [{ at_least: '3', action: 'refuse' }] }));
  expect(await ran('policies', 'replay', 'dear', file)).toMatch(/1 different[^]*acme +allow +refuse/);
  expect(await ran('policies', 'end', 'dear')).toBe('Ended dear.\n');
  writeFileSync(file, '{');
  expect((await ergon.run('policies', 'put', 'dear', file)).error).toMatch(/the policy is not JSON/);
});
