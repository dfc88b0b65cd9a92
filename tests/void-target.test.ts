import { afterAll, beforeAll, expect, test } from 'vitest';
import { seedKey } from '../packages/server/bench/support/seed.ts';
import { sendEvents, startTestErgon, type TestErgon } from './support/ergon.ts';

let ergon: TestErgon;
let key: string;
beforeAll(async () => {
  ergon = await startTestErgon();
  key = await seedKey(ergon.sql, 1);
});
afterAll(() => ergon.stop());

test.each([
  ['a NUL', { source: 'a\u0000b', id: '1' }, '/data/source'],
  ['a lone surrogate', { source: 'a', id: '\ud800' }, '/data/id'],
  ['a name too long', { source: 'a', id: 'x'.repeat(257) }, '/data/id'],
])('a void whose target has %s is refused, and its neighbour is recorded', async (what, data, pointer) => {
  const answer = await sendEvents(one(), key, [
    { id: `void of ${what}`, type: 'event.void', data },
    { id: `beside ${what}`, type: 'api.call', subject: 'acme' },
  ]);
  expect(answer).toMatchObject({
    accepted: 1,
    rejected: 1,
    results: [{ index: 0, error: { code: 'invalid_field', pointer } }],
  });
});

function one() {
  const [replica] = ergon.replicas;
  if (replica === undefined) throw new Error('no replica');
  return replica;
}
