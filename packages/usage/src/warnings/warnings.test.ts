import { expect, test } from 'vitest';
import { normaliseUsage, type UsageInput } from '../normalise-usage.ts';
import { type SeenCall, sourceWarnings } from './source-warnings.ts';
import { usageWarnings } from './usage-warnings.ts';

const model = 'gpt-5';

const cases: readonly {
  name: string;
  input: UsageInput;
  type?: string;
  durationMs?: number;
  codes: readonly string[];
}[] = [
  { name: 'a sound call', input: { model, tokens: { input: 5, output: 1 } }, codes: [] },
  { name: 'zero output is a figure', input: { model, tokens: { input: 5, output: 0 } }, codes: [] },
  { name: 'output only', input: { model, tokens: { output: 5 } }, codes: ['output_tokens_only'] },
  { name: 'input only', input: { model, tokens: { input: 5 } }, codes: ['input_tokens_only'] },
  { name: 'an embedding has no output', input: { model, tokens: { input: 5 } }, type: 'embedding.call', codes: [] },
  { name: 'a cached prompt is input', input: { model, tokens: { cache_read: 5, output: 1 } }, codes: [] },
  { name: 'no model', input: { tokens: { input: 5, output: 1 } }, codes: ['no_model'] },
  { name: 'no usage', input: { model }, codes: ['no_usage'] },
  {
    name: 'a month in one event',
    input: { model, tokens: { input: 90_000_000, output: 5_000_000 } },
    codes: ['lump_sum'],
  },
  {
    name: 'a run in one event',
    input: { model, tokens: { input: 900_000, cache_read: 3_000_000, output: 9 } },
    codes: ['whole_run'],
  },
  {
    name: 'a call of hours',
    input: { model, tokens: { input: 9, output: 9 } },
    durationMs: 9_000_000,
    codes: ['whole_run'],
  },
  {
    name: 'a total that does not add up',
    input: { model, usage: { prompt_tokens: 10, completion_tokens: 4, total_tokens: 12 } },
    codes: ['totals_do_not_add_up'],
  },
  { name: 'another type of event', input: {}, type: 'api.call', codes: [] },
];

test.each(cases)('$name', ({ input, type = 'llm.call', durationMs, codes }) => {
  expect(usageWarnings({ record: normaliseUsage(input), type, durationMs }).map((warning) => warning.code)).toEqual(
    codes,
  );
});

function calls(source: string, count: number, differing: Partial<SeenCall> = {}): SeenCall[] {
  return Array.from({ length: count }, (_, index) => ({
    source,
    occurredAt: `2026-01-02T03:${String(index % 60).padStart(2, '0')}:00Z`,
    record: normaliseUsage({ model, tokens: { input: 1000 + index, output: 50 } }),
    isFailed: false,
    ...differing,
  }));
}

test('the same calls from two doors are seen, whoever is larger', () => {
  const codes = sourceWarnings([...calls('gateway', 200), ...calls('import', 20)]).map((warning) => warning.code);
  expect(codes).toEqual(['arrives_twice']);
});

test('one call id from two doors is a sign, told once; attempts of one door are none', () => {
  const callId = { callId: 'c1' };
  expect(sourceWarnings([...calls('gateway', 1, callId), ...calls('import', 1, callId)])).toEqual([
    { code: 'arrives_twice', detail: expect.stringContaining('1 calls arrived from both gateway and import') },
  ]);
  expect(sourceWarnings([...calls('gateway', 9, callId), ...calls('import', 9, callId)])).toHaveLength(1);
  expect(sourceWarnings(calls('gateway', 9, callId))).toEqual([]);
});

test('a few twins, small calls and one door alone are no sign', () => {
  expect(sourceWarnings([...calls('gateway', 200), ...calls('import', 4)])).toEqual([]);
  expect(sourceWarnings([...calls('gateway', 100), ...calls('gateway', 100)])).toEqual([]);
  const small = { record: normaliseUsage({ model, tokens: { input: 1, output: 1 } }) };
  expect(sourceWarnings([...calls('a', 50, small), ...calls('b', 50, small)])).toEqual([]);
});

test('thousands of calls without one failure are a sign', () => {
  expect(sourceWarnings(calls('gateway', 2000)).map((warning) => warning.code)).toEqual(['no_failures']);
  expect(sourceWarnings([...calls('gateway', 2000), ...calls('gateway', 1, { isFailed: true })])).toEqual([]);
});
