import type { Currency } from '@ergon/exact';
import type { Bucket, CompiledPrice } from '@ergon/rating';
import type { LedgerUnits, OpenGrant, Share } from '../ledger/burn.ts';
import { type AccumulatorState, emptyAccumulator, readAccumulator, type StoredAccumulator } from './accumulate.ts';

/** An earlier debit that can be taken back. */
export type Debit = { readonly accountId: number | null; units: LedgerUnits };

/** One running total of a row while a group is rated: its state, and what the group posted for it. */
export type BucketWork = {
  /** "price/bucket": the accumulator's name within its card version and period. */
  readonly name: string;
  readonly state: AccumulatorState;
  /** Debits of this group, newest last, over the standing ones once those were read. */
  readonly debits: Debit[];
  hasStandingDebits: boolean;
  /** Sums to post, one per account and direction: negative gives back. */
  readonly postings: { readonly accountId: number | null; readonly isReversal: boolean; units: LedgerUnits }[];
};

/** One customer's running totals under one card version in one period, held under its lock. */
export type AccumulatorRow = {
  readonly customerId: number;
  readonly cardVersionId: number;
  readonly period: string;
  readonly currency: Currency;
  readonly stored: Readonly<Record<string, StoredAccumulator>>;
  readonly work: Map<Bucket, BucketWork>;
  /** In burn order, every currency; shared by the customer's rows. */
  readonly grants: readonly OpenGrant[];
};

/** Names of buckets by their object: a concatenation for each of millions of lines is worth saving. */
const names = new WeakMap<Bucket, { readonly price: CompiledPrice; readonly name: string }>();

export function nameOf(price: CompiledPrice, cell: Bucket): string {
  const known = names.get(cell);
  if (known !== undefined && known.price === price) return known.name;
  const name = `${price.key}/${cell.key}`;
  names.set(cell, { price, name });
  return name;
}

export function workOf(row: AccumulatorRow, price: CompiledPrice, cell: Bucket): BucketWork {
  const known = row.work.get(cell);
  if (known !== undefined) return known;
  const name = nameOf(price, cell);
  const stored = row.stored[name];
  const work: BucketWork = {
    name,
    state: stored === undefined ? emptyAccumulator() : readAccumulator(stored),
    debits: [],
    hasStandingDebits: false,
    postings: [],
  };
  row.work.set(cell, work);
  return work;
}

export function post(work: BucketWork, share: Share): void {
  const isReversal = share.units < 0n;
  for (const posting of work.postings) {
    if (posting.accountId === share.accountId && posting.isReversal === isReversal) {
      posting.units += share.units;
      return;
    }
  }
  work.postings.push({ accountId: share.accountId, isReversal, units: share.units });
}

/** Takes `units` from the newest debits; returns what they did not cover. */
export function drain(debits: Debit[], units: LedgerUnits, shares: Share[]): LedgerUnits {
  let left = units;
  while (left > 0n) {
    const newest = debits.at(-1);
    if (newest === undefined) return left;
    const taken = newest.units < left ? newest.units : left;
    newest.units -= taken;
    left -= taken;
    if (newest.units === 0n) debits.pop();
    if (taken > 0n) shares.push({ accountId: newest.accountId, units: -taken });
  }
  return left;
}
