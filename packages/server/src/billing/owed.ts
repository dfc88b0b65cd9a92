import type { Currency, Decimal } from '@ergon/exact';

/** What is owed for one thing in one period. Lines of the same key and period sum to it. */
export type Owed = {
  readonly kind: LineKind;
  /** Names what it is for: a plan's fee, a card version's price, a coupon. */
  readonly key: string;
  readonly description: string;
  readonly currency: Currency;
  readonly amount: Decimal;
  readonly quantity?: Decimal;
  readonly detail?: Readonly<Record<string, unknown>>;
};

/** fee: a plan's or add-on's; usage: what events were charged; close: due without usage; coupon: taken off. */
export type LineKind = 'fee' | 'usage' | 'close' | 'coupon';

/** A period as what is owed for it is computed: `from` and `to` are cut to the subscription, the days to whole days. */
export type PeriodSpan = {
  readonly number: number;
  readonly period: string;
  readonly from: number;
  readonly to: number;
  /** First day of the uncut period, and the day after its last. */
  readonly wholeFromOn: string;
  readonly wholeToOn: string;
};
