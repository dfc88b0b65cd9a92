import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { startTestErgon, TEST_KEY, type TestErgon } from '../ergon.test-support.ts';
import { EXIT_CODE } from '../exit-code.ts';

let ergon: TestErgon;
beforeAll(async () => {
  ergon = await startTestErgon();
  const call = (id: string, tokens: Record<string, number>) => ({
    ...{ id, source: 'api', type: 'llm.call', subject: 'acme', time: '2026-11-20T10:00:00Z' },
    data: { model: 'brand-new', tokens },
  });
  const sent = await ergon.fetch(
    new Request('http://test/v1/events', {
      method: 'POST',
      headers: { authorization: `Bearer ${TEST_KEY}`, 'content-type': 'application/json' },
      body: JSON.stringify([call('a', { input: 1_200 }), call('b', { input: 34_000, output: 7 })]),
    }),
  );
  if (sent.status !== 200) throw new Error(await sent.text());
});
afterAll(() => ergon.stop());

async function ran(...argv: string[]): Promise<string> {
  const { code, out, error } = await ergon.run(...argv);
  expect({ code, error }).toEqual({ code: EXIT_CODE.ok, error: '' });
  return out;
}

test('ergon unrated lists the groups, and the single events behind them', async () => {
  expect(await ran('unrated', '--meter', 'input_tokens')).toMatch(
    /acme +input_tokens +no_rate_card +brand-new +2 +35,200 +2026-11-20T10:00:00Z/,
  );
  const events = await ran('unrated', '--events', '--meter', 'output_tokens');
  expect(events).toMatch(/acme +llm.call +api +b +.*output_tokens 7 \(no_rate_card\)/);
  expect(events).not.toMatch(/api +a /);
  expect(await ran('unrated', '--customer', 'zenith')).toBe('No unrated usage.\n');
  expect(JSON.parse(await ran('unrated', '--limit', '1', '--json'))).toMatchObject({
    data: [{ customer: 'acme' }],
    next_cursor: expect.any(String),
  });
});

test('a price that appears rates it; a correction of the price is tried, posted and explained', async () => {
  const card = (unit_amount: string, more: Readonly<Record<string, unknown>> = {}) =>
    JSON.stringify({
      currency: 'USD',
      prices: [{ meter: 'output_tokens', charge_model: { type: 'per_unit', unit_amount } }],
      ...more,
    });
  const put = (text: string) => {
    const file = join(ergon.directory, 'card.json');
    writeFileSync(file, text);
    return ran('rate-card', 'put', 'default', file);
  };
  const span = ['--from', '2026-11-20', '--to', '2026-11-21'];
  await put(card('1'));
  await ran('rerate', ...span);
  expect(await ran('explain', 'api', 'b')).toMatch(
    /Rated anew by re-rating \d+, .*\n {2}output_tokens {2}7 × 1 = 7\.00 USD/,
  );
  expect(await ran('unrated', '--meter', 'output_tokens')).toBe('No unrated usage.\n');
  expect(await put(card('2', { effective_from: '2026-11-19T00:00:00Z', rerate: true }))).toMatch(
    /Re-rating \d+ has begun/,
  );
  await vi.waitFor(async () => expect(await ran('rerate', '--list')).toMatch(/all .* 7\.00 USD/), { timeout: 10_000 });
  expect(await ran('rerate', ...span, '--all', '--dry-run')).toMatch(
    /^Would adjust 0 events of \d+; nothing was posted\.\n$/,
  );
  const explained = await ran('explain', 'api', 'b');
  expect(explained).toMatch(/Taken back by re-rating[^]*-7\.00 USD[^]*Rated anew[^]*7 × 2 = 14\.00 USD/);
  const wrong = await ergon.run('rerate', '--from', '2026-11-20');
  expect(wrong).toMatchObject({ code: EXIT_CODE.usage, error: expect.stringContaining('needs --from and --to') });
});
