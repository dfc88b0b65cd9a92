import { add, decimal, ZERO } from '@ergon/exact';
import { RUN_QUANTITIES } from '../record/run-columns.ts';
import { type Expected, entryOf } from './expected.ts';
import type { AuditedEvent } from './audited-event.ts';

/** Columns of `run` that are sums of its events' figures. */
export const RUN_SUMS = [...RUN_QUANTITIES, 'charge', 'provider_cost'] as const;

/** Tokens of a run are shown in three kinds: what was read anew, what came from a cache, what was written. */
function columnOf(meter: string): string | undefined {
  if (!meter.endsWith('_tokens')) return RUN_SUMS.find((name) => name === meter);
  if (meter === 'total_tokens') return undefined;
  if (meter === 'cache_read_tokens') return 'cached_tokens';
  return /^(input|tool_use|cache_write)_/.test(meter) ? 'input_tokens' : 'output_tokens';
}

export function foldRun(expected: Expected, one: AuditedEvent, runId: string): void {
  const sums = entryOf(expected.runs, runId, () => new Map());
  const addTo = (column: string, text: string): void => {
    sums.set(column, add(sums.get(column) ?? ZERO, decimal(text)));
  };
  for (const [meter, quantity] of one.rating.quantities) {
    const column = columnOf(meter);
    if (column !== undefined && /^-?[\d.]+$/.test(quantity)) addTo(column, quantity);
  }
  for (const line of one.rating.lines) addTo('charge', line.amount);
  if (one.rating.cost !== null) addTo('provider_cost', one.rating.cost[0]);
}
