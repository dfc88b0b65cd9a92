import type { BillingMonth } from '../catalog/billing-month.ts';
import type { BilledCustomer } from '../catalog/customers.ts';
import type { CardVersion } from '../catalog/snapshot.ts';
import type { PreparedEvent } from './prepare.ts';
import type { StoredEvent } from './read-events.ts';

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
};

export type Reversal = { readonly stored: StoredEvent; readonly prepared: PreparedEvent };
