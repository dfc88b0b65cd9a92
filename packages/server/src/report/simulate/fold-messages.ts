import type { SubscriptionTerms } from '../../catalog/billing-terms.ts';
import type { StoredAccumulator } from '../../record/accumulate.ts';

/** What passes between the request and the threads that read events for it: plain data only. */

/** What one thread needs to price events under the simulated card. */
export type FoldSetup = {
  /** YYYY-MM: usage of billing periods that began in it. */
  readonly month: string;
  /** The rate card document; it was checked before. */
  readonly card: unknown;
  /** Custom meters that the card prices, as they are now. */
  readonly meters: readonly { readonly id: number; readonly key: string; readonly spec: unknown }[];
  /** Customers who are not in UTC or have a subscription. */
  readonly customers: readonly FoldCustomer[];
  /** Only this customer's events. */
  readonly only: number | undefined;
  /** More running totals or distinct values than this are too many for one simulation. */
  readonly totalsMax: number;
  readonly valuesMax: number;
};

export type FoldCustomer = {
  readonly id: number;
  readonly timeZone: string;
  readonly subscriptions: readonly SubscriptionTerms[];
};

/** One block of raw events, as it is stored. */
export type FoldBlock = {
  readonly sequence: number;
  /** Microseconds since 1970. */
  readonly receivedAt: number;
  readonly events: Uint8Array<ArrayBuffer>;
  readonly ratings: Uint8Array<ArrayBuffer>;
  /** Positions that a void has taken back. */
  readonly voided: readonly number[];
};

/** A bucket of the simulated card: its price, and dimensions that lead to it. */
export type FoldBucket = { readonly price: string; readonly dimensions: Readonly<Record<string, string | undefined>> };

/** A running total whose events are charged one after another; `bucket` is a position among the thread's buckets. */
export type OrderedPlace = { readonly customer: number; readonly period: string; readonly bucket: number };

/** Events of prices that ask what came before them: where each belongs, and how much it is. */
export type OrderedEvents = {
  /** Positions among the thread's ordered places. */
  readonly places: Uint32Array<ArrayBuffer>;
  /** Decimal texts, separated by spaces: one long text passes between threads faster than many short ones. */
  readonly quantities: string;
};

export type FoldedBlock = {
  readonly sequence: number;
  /** Events that the simulation is about. */
  readonly events: number;
  readonly ordered: OrderedEvents;
  /** Buckets not seen before, in the order of their positions. */
  readonly buckets: readonly FoldBucket[];
  /** Ordered places not seen before, likewise. */
  readonly orderedPlaces: readonly OrderedPlace[];
};

/** Everything of one customer, billing period and bucket that one thread has read. */
export type FoldedTotal = {
  readonly customer: number;
  readonly period: string;
  readonly bucket: number;
  readonly meter: string;
  readonly events: number;
  /** List prices of the single events, for a price that charges each by itself. */
  readonly listed: string;
  readonly state: StoredAccumulator;
  /** Hashes of the distinct values, of a unique meter. */
  readonly values: readonly string[] | undefined;
};

export type FoldResult = {
  readonly totals: readonly FoldedTotal[];
  readonly unrated: readonly (readonly [meter: string, quantity: string])[];
};

export type FoldRequest =
  | { readonly type: 'start'; readonly setup: FoldSetup }
  | { readonly type: 'block'; readonly block: FoldBlock }
  | { readonly type: 'finish' };

export type FoldAnswer =
  | { readonly type: 'folded'; readonly folded: FoldedBlock }
  | { readonly type: 'result'; readonly result: FoldResult }
  | { readonly type: 'too_many'; readonly what: string };
