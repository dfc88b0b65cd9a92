import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestErgon, TEST_KEY, type TestErgon } from '../ergon.test-support.ts';
import { EXIT_CODE } from '../exit-code.ts';

let ergon: TestErgon;
beforeAll(async () => {
  ergon = await startTestErgon();
  const call = (id: string, model: string, feature: string) => ({
    ...{ id, source: 'api', type: 'llm.call', subject: 'acme', time: '2026-11-20T10:00:00Z' },
    data: { model, feature, tokens: { input: 10 } },
  });
  const sent = await ergon.fetch(
    new Request('http://test/v1/events', {
      method: 'POST',
      headers: { authorization: `Bearer ${TEST_KEY}`, 'content-type': 'application/json' },
      body: JSON.stringify([call('a', 'one', 'chat'), call('b', 'two', 'chat'), call('c', 'three', 'search')]),
    }),
  );
  if (sent.status !== 200) throw new Error(await sent.text());
});
afterAll(() => ergon.stop());

test.each([
  [['model=one'], ['one']],
  [
    ['model=one', 'model=t*'],
    ['one', 'three', 'two'],
  ],
  [
    ['model=one,two', 'feature=chat'],
    ['one', 'two'],
  ],
  [['model=one', 'feature=search'], []],
])('--filter %j is of these values of each dimension', async (filters, models) => {
  const flags = filters.flatMap((filter) => ['--filter', filter]);
  const { code, out } = await ergon.run('usage', '--meter', 'requests', '--by', 'model', '--json', ...flags);
  expect(code).toBe(EXIT_CODE.ok);
  const { rows }: { rows: { group: { model: string } }[] } = JSON.parse(out);
  expect(rows.map(({ group }) => group.model)).toEqual(models);
});
