import { compare, type Decimal, decimal, toText } from '@ergon/exact';

/** Something a table holds that the events do not account for, or the other way round. */
export type Difference = {
  readonly kind: string;
  readonly key: string;
  readonly expected: string;
  readonly found: string;
};

/** Listed at most; beyond it they are only counted. */
const LISTED_MAX = 1_000;

export class Differences {
  readonly list: Difference[] = [];
  count = 0;

  add(kind: string, key: string, expected: string, found: string): void {
    this.count += 1;
    if (this.list.length < LISTED_MAX) this.list.push({ kind, key, expected, found });
  }

  /** Compares two decimals, an absent one counting as zero. */
  number(kind: string, key: string, expected: Decimal | undefined, found: string | null | undefined): void {
    const want = expected ?? decimal(0);
    const have = decimal(found ?? '0');
    if (compare(want, have) !== 0) this.add(kind, key, toText(want), toText(have));
  }
}
