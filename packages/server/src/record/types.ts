import type { CapturedEvent } from '../event/event.ts';
import type { EventWork } from './event-work.ts';

export type EventFate = 'accepted' | 'duplicate' | 'conflict';

/** One request's valid events on their way through the transaction, and their fates once it has committed. */
export type PendingRequest = {
  readonly events: readonly CapturedEvent[];
  /** Fate of each event, in the order of `events`; filled before the commit, read after it. */
  readonly fates: EventFate[];
  readonly warnings: IngestWarning[];
  /** Id of the key that sent it: the audit log names who voided what. */
  readonly actor: string;
  /** True when an event of the request voids another: such a request runs alone under the exclusive lock. */
  readonly hasVoid: boolean;
};

export type IngestWarning = {
  /** Position in the request of the event that shows it; absent where it is about more than one. */
  readonly index?: number;
  readonly code: string;
  readonly detail: string;
};

/** What the transaction made of one event: kept beside it, so that every amount can be explained as it came about. */
export type EventRating = {
  readonly customer: number | null;
  /** Receipt in microseconds since 1970, where it stands for a time the client did not send. */
  readonly filledTime: number | null;
  /** [meter, quantity] of every metered quantity. */
  readonly quantities: readonly (readonly [string, string])[];
  readonly quality: string | null;
  /** The model that the reported name stood for then; null where it was unknown, and for events recorded before that was kept. */
  readonly model: RecordedModel | null;
  /** Card version and period of the lines. */
  readonly version: number | null;
  readonly period: string | null;
  readonly currency: string | null;
  readonly lines: readonly RatedLine[];
  /** [amount in USD, source] of the provider's price; null when it is unknown. */
  readonly cost: readonly [string, string] | null;
  /** [meter, quantity, reason]. */
  readonly unrated: readonly (readonly [string, string, string])[];
  readonly flags: readonly { readonly code: string; readonly detail: string }[];
  /** How its work was counted, or why it was not; absent where nothing was known of the model. */
  readonly work: EventWork | undefined;
};

export type RecordedModel = { readonly canonical: string; readonly family?: string };

export type RatedLine = {
  readonly meter: string;
  /** "price/bucket": the accumulator's name within its card version and period. */
  readonly bucket: string;
  readonly quantity: string;
  readonly before: string;
  readonly after: string;
  readonly amount: string;
  /** Why nothing was charged, where the price's policy says so. */
  readonly absorbed?: 'failed_call' | 'retry';
  /** [grant account or null for the receivable, amount]. */
  readonly shares: readonly (readonly [number | null, string])[];
};
