import { toApproximateNumber } from '@ergon/exact';
import type { UsageRecord } from '@ergon/usage';
import { calcPrice } from '@pydantic/genai-prices';
import { beforeAll, expect, test } from 'vitest';
import { loadProviderPrices } from './load-provider-prices.ts';
import type { ProviderPrices } from './provider-prices.ts';
import type { ProviderCost } from './types.ts';

/** The library computes in doubles; its figures are right to about this part. */
const FLOAT_TOLERANCE = 1e-9;

let prices: ProviderPrices;
beforeAll(async () => {
  prices = await loadProviderPrices();
});

type Tokens = UsageRecord['tokens'];

/** Small, in a context tier of every model that has one, and one with each class the library knows. */
const USAGES: readonly Tokens[] = [
  { input: 1200, output: 340 },
  { input: 200_001, cache_read: 400_000, output: 7000, reasoning: 300 },
  { input: 11, cache_read: 1000, cache_write_5m: 500, output: 3 },
  { input: 11, cache_write_1h: 500, output: 3 },
];
const INSTANTS = ['2025-06-09T12:00:00Z', '2026-03-12T02:00:00Z', '2026-11-21T07:00:00Z', '2027-01-02T17:00:00Z'];

/**
 * Every reason for which our amount differs from the library's on purpose. A difference without one fails. (A class without
 * any price adds nothing there and nothing here, but here the cost says that it is incomplete.)
 */
function reasonToDiffer(cost: ProviderCost | undefined, libraryTotal: number): string | undefined {
  if (cost === undefined) return libraryTotal === 0 ? 'an entry without figures: unknown here, 0 there' : undefined;
  const codes = cost.flags.map((flag) => flag.code);
  if (codes.includes('cache_write_1h_by_rule'))
    return 'one-hour cache writes of Claude without a figure: 2 x input here';
  if (codes.includes('cache_write_5m_by_rule')) return 'cache writes of Claude without a figure: 1.25 x input here';
  return undefined;
}

test('agrees with the library on every model of its table, except for the reasons listed', () => {
  const reasons = new Map<string, number>();
  const unexplained: string[] = [];
  let compared = 0;
  for (const { id: provider, models } of prices.providers) {
    for (const { id: model } of models) {
      for (const instant of INSTANTS) {
        for (const tokens of USAGES) {
          const timestamp = new Date(instant);
          const library = calcPrice(libraryUsage(tokens), model, { providerId: provider, timestamp });
          const cost = prices.cost(
            { provider, model, tokens, units: {}, quality: 'reported', flags: [] },
            timestamp.getTime() * 1000,
          );
          if (library === null && cost === undefined) continue;
          compared++;
          const ours = cost && toApproximateNumber(cost.amount);
          const theirs = library?.total_price ?? Number.NaN;
          if (ours !== undefined && Math.abs(ours - theirs) <= 1e-12 + theirs * FLOAT_TOLERANCE) continue;
          const reason = reasonToDiffer(cost, theirs);
          if (reason === undefined)
            unexplained.push(`${provider}/${model} at ${instant}: ${ours} here, ${theirs} there`);
          else reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
        }
      }
    }
  }
  expect(unexplained).toEqual([]);
  expect(compared).toBeGreaterThan(20_000);
  // Each reason is a real one: it happens. None of them is how most of the table is compared.
  expect([...reasons.keys()].sort()).toEqual([
    'an entry without figures: unknown here, 0 there',
    'cache writes of Claude without a figure: 1.25 x input here',
    'one-hour cache writes of Claude without a figure: 2 x input here',
  ]);
  const differing = [...reasons.values()].reduce((total, count) => total + count, 0);
  expect(differing / compared).toBeLessThan(0.1);
});

/** The library's inclusive classes from our disjoint ones. */
function libraryUsage(tokens: Tokens): Record<string, number> {
  const { input = 0, cache_read = 0, cache_write_5m = 0, cache_write_1h = 0, output = 0, reasoning = 0 } = tokens;
  return {
    input_tokens: input + cache_read + cache_write_5m + cache_write_1h,
    cache_read_tokens: cache_read,
    cache_write_tokens: cache_write_5m + cache_write_1h,
    cache_write_1h_tokens: cache_write_1h,
    output_tokens: output + reasoning,
    output_reasoning_tokens: reasoning,
  };
}
