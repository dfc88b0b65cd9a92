import { afterAll, beforeAll, expect, test } from 'vitest';
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
