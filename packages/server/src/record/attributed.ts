import type { BillingMonth } from '../catalog/billing-month.ts';
import type { BilledCustomer } from '../catalog/customers.ts';
import type { CardVersion } from '../catalog/snapshot.ts';
import type { PreparedEvent } from './prepare.ts';
import type { StoredEvent } from './read-events.ts';
import type { EventRating, RatedLine } from './types.ts';

/** A fresh event with whom it bills, by which card, in which period. */
export type Attributed = {
  readonly prepared: PreparedEvent;
  readonly customer: BilledCustomer | undefined;
  readonly version: CardVersion | undefined;
  readonly month: BillingMonth;
  /** Id of the key that sent it; a void does not know its target's. */
  readonly actor?: string;
  /** Of a void: the event it takes back, as it was recorded. */
  readonly reverses?: Reversal;
  /** Of an adjusting record: what it does to the charge of an event. */
  readonly adjusts?: Adjustment;
};

export type Reversal = {
  readonly stored: StoredEvent;
  readonly prepared: PreparedEvent;
  /** The event's own lines; none where a re-rating has taken them back already. */
  readonly lines: readonly RatedLine[];
  /** Adjusting records that rate the event beside or instead of its own lines. */
  readonly adjustments: readonly StoredEvent[];
  /** What of the event has no price now. */
  readonly unrated: EventRating['unrated'];
};

/** An adjusting record rates an event anew, or takes back what one of its ratings charged; its usage is counted already. */
export type Adjustment = {
  readonly target: StoredEvent;
  /** The target with what is to be rated of it; of a take-back, as the rating saw it. */
  readonly prepared: PreparedEvent;
  readonly rerateId: bigint | null;
  /** The rating that is taken back: the target itself or an adjusting record. */
  readonly takesBack?: StoredEvent;
  /** Of a new rating: what had no price before it. */
  readonly unratedBefore: EventRating['unrated'];
};
