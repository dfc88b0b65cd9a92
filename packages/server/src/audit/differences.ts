/** What was found wrong. The table or fact at fault, which row of it, what the events say, and what stands there. */
export type Difference = {
  readonly kind:
    | 'block'
    | 'event'
    | 'identity'
    | 'void'
    | 'adjustment'
    | 'rating'
    | 'usage rollup'
    | 'meter rollup'
    | 'unrated usage'
    | 'dimension set'
    | 'accumulator quantity'
    | 'accumulator charge'
    | 'accumulator state'
    | 'accumulator value'
    | 'R(quantity)'
    | 'posting'
    | 'balance'
    | 'grant'
    | 'hold'
    | 'budget'
    | 'subscription'
    | 'run';
  readonly key: string;
  readonly expected: string;
  readonly found: string;
};

/** Differences listed in one report; beyond it they are only counted. */
export const DIFFERENCES_LISTED_MAX = 1_000;

export class Differences {
  readonly listed: Difference[] = [];
  total = 0;

  add(kind: Difference['kind'], key: string, expected: string, found: string): void {
    this.total += 1;
    if (this.listed.length < DIFFERENCES_LISTED_MAX) this.listed.push({ kind, key, expected, found });
  }
}
