import { expect, test } from 'vitest';
import { compareConflict } from './compare-conflict.ts';

const event = (output: number, more: Record<string, unknown> = {}) => ({
  id: 'a',
  source: 's',
  subject: 'acme',
  time: '2026-01-01T00:00:00.5Z',
  data: {
    provider: 'anthropic',
    api: 'messages',
    model: 'm',
    usage: { input_tokens: 3, output_tokens: output },
    ...more,
  },
});

test.each([
  [event(5, { run_id: 'r2' }), event(5, { run_id: 'r1' }), 'same_usage', 0, ['/data/run_id: recorded "r1", here "r2"']],
  [event(104), event(1), 'recorded_smaller', 103, ['/data/usage/output_tokens: recorded 1, here 104']],
  [event(1), event(104), 'recorded_larger', -103, ['/data/usage/output_tokens: recorded 104, here 1']],
  [{ ...event(5), subject: 'zeus' }, event(5), 'different', 0, ['/subject: recorded "acme", here "zeus"']],
  [event(5), { ...event(5), time: '2026-01-01T00:00:00.500000Z' }, 'same_usage', 0, []],
])('%# is %s', (sent, recorded, kind, tokensMissing, differences) => {
  expect(compareConflict(sent, recorded)).toEqual({ kind, tokensMissing, differences });
});
