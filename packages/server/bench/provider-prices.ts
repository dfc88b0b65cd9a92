/**
 * What the price table costs the ingest path: nanoseconds for one lookup and for one lookup with its cost, as the median of
 * several rounds. Run with `node packages/server/bench/provider-prices.ts`.
 */
import type { UsageRecord } from '@ergon/usage';
import { loadProviderPrices } from '../src/provider-prices/index.ts';

const ROUNDS = 9;
const CALLS = 200_000;
const AT = Date.parse('2026-11-21T10:00:00Z') * 1000;

const started = performance.now();
const prices = await loadProviderPrices();
report('load the table', (performance.now() - started) * 1_000_000, 'once, at start');

const bare = { units: {}, quality: 'reported', flags: [] } as const;
const typical = {
  ...bare,
  provider: 'openai',
  model: 'gpt-5-mini',
  tokens: { input: 200, cache_read: 1000, output: 340 },
};
const tiered = { ...typical, provider: 'anthropic', model: 'claude-sonnet-4-5-20250929' };
const batch = { ...typical, provider: 'anthropic', model: 'claude-opus-4-5', serviceTier: 'batch' };
const dated = { ...typical, provider: 'deepseek', model: 'deepseek-v4-pro' };

measure(
  'lookup, known name',
  (record) => prices.lookup({ provider: record.provider, model: record.model ?? '', at: AT }),
  typical,
);
measure('lookup + cost, 3 classes', (record) => prices.cost(record, AT), typical);
measure('lookup + cost, context tiers', (record) => prices.cost(record, AT), tiered);
measure('lookup + cost, batch', (record) => prices.cost(record, AT), batch);
measure('lookup + cost, dates and hours', (record) => prices.cost(record, AT), dated);
measure('lookup + cost, with lines', (record) => prices.cost(record, AT, { explain: true }), typical);

let serial = 0;
const scan = measured(
  (record) => prices.lookup({ provider: record.provider, model: `gpt-hostile-${serial++}`, at: AT }),
  typical,
  2000,
);
report('lookup, name never seen', scan, 'a scan of one provider');
const scanAll = measured(
  () => prices.lookup({ provider: 'openrouter', model: `x/hostile-${serial++}`, at: AT }),
  typical,
  2000,
);
report('lookup, name never seen', scanAll, 'a scan of the largest provider');

function measure(name: string, call: (record: UsageRecord) => unknown, record: UsageRecord): void {
  report(name, measured(call, record, CALLS), '');
}

/** Names arrive as fresh strings from JSON, so their hashes are not cached: parse copies to be as slow as that. */
function measured(call: (record: UsageRecord) => unknown, record: UsageRecord, calls: number): number {
  const text = JSON.stringify(record);
  const rounds = Array.from({ length: ROUNDS }, () => {
    const records: UsageRecord[] = Array.from({ length: Math.min(calls, 20_000) }, () => JSON.parse(text));
    let found = 0;
    const from = performance.now();
    for (let index = 0; index < calls; index++) {
      const next = records[index % records.length];
      if (next !== undefined && call(next) !== undefined) found++;
    }
    const spent = performance.now() - from;
    if (found !== 0 && found !== calls) throw new Error('the same question had two answers');
    return (spent * 1_000_000) / calls;
  });
  return rounds.sort((a, b) => a - b)[Math.floor(ROUNDS / 2)] ?? 0;
}

function report(name: string, nanoseconds: number, note: string): void {
  console.log(`${name.padEnd(34)} ${nanoseconds.toFixed(0).padStart(10)} ns   ${note}`);
}
