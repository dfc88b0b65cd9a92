import { toText } from '@ergon/exact';
import { compileRateCard } from '@ergon/rating';
import { expect, test } from 'vitest';
import { packLines } from '../../record/blocks.ts';
import type { FoldBlock, FoldSetup } from './fold-messages.ts';
import { priceEvents } from './price-events.ts';

const CARD = {
  currency: 'USD',
  prices: [
    { meter: 'requests', charge_model: { type: 'percentage', rate: '0', fixed_amount: '1', free_events: 100 } },
    {
      meter: 'input_tokens',
      charge_model: {
        type: 'graduated',
        tiers: [
          { up_to: '5000', unit_amount: '2' },
          { up_to: null, unit_amount: '1' },
        ],
      },
    },
  ],
};
const SETUP: FoldSetup = {
  ...{ month: '2026-11', card: CARD, meters: [], customers: [], only: undefined, totalsMax: 100, valuesMax: 100 },
};
const EVENTS = 50;

async function block(sequence: number): Promise<{ block: FoldBlock; eventCount: number }> {
  const event = JSON.stringify({ data: {}, id: 'e', source: 's', type: 'llm.call' });
  const rating = JSON.stringify({
    c: (sequence % 3) + 1,
    q: [
      ['requests', '1'],
      ['input_tokens', '7'],
    ],
    p: '2026-11-01',
  });
  const lines = async (text: string) =>
    new Uint8Array(await packLines(Buffer.from(Array(EVENTS).fill(text).join('\n'))));
  const packed = { events: await lines(event), ratings: await lines(rating) };
  // The first event of each was voided.
  return { block: { sequence, receivedAt: 0, voided: [0], ...packed }, eventCount: EVENTS };
}

function compiled() {
  const card = compileRateCard(CARD);
  if (!card.ok) throw new Error('the card compiles');
  return card.value;
}

async function* blocks(count: number, closed?: () => void) {
  try {
    for (let sequence = 0; sequence < count; sequence++) yield await block(sequence);
  } finally {
    closed?.();
  }
}

test('blocks priced on several threads come to what they come to in order', async () => {
  let told = 0;
  const signal = new AbortController().signal;
  const priced = await priceEvents(blocks(60), SETUP, compiled(), signal, (events) => {
    told += events;
  });
  expect(told).toBe(60 * EVENTS);
  if (!priced.ok) throw new Error(priced.tooMany);
  expect(priced.events).toBe(60 * (EVENTS - 1));
  // Of each customer's 980 events 100 are free, and 6,860 tokens are 5,000 at 2 and the rest at 1.
  expect([...priced.charges].toSorted(([a], [b]) => a - b).map(([id, charge]) => [id, toText(charge)])).toEqual(
    [1, 2, 3].map((id) => [id, String(880 + 10_000 + 1_860)]),
  );
});

test('ends when nobody waits any more, and lets go of the blocks', async () => {
  const gone = new AbortController();
  let isClosed = false;
  let read = 0;
  const endless = blocks(Number.POSITIVE_INFINITY, () => {
    isClosed = true;
  });
  const priced = priceEvents(endless, SETUP, compiled(), gone.signal, () => {
    read += 1;
    if (read === 3) gone.abort(new Error('the client has gone'));
  });
  await expect(priced).rejects.toThrow('the client has gone');
  expect(isClosed).toBe(true);
});

test('says so when it would keep too much', async () => {
  const { signal } = new AbortController();
  const priced = await priceEvents(blocks(9), { ...SETUP, totalsMax: 2 }, compiled(), signal, () => undefined);
  expect(priced).toEqual({ ok: false, tooMany: 'running totals' });
});
