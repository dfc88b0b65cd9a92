/** What the rest of the service knows of an event once the edge has let it in. */

/** Attribution fields of `data`, each checked to be a short plain string. */
export const ATTRIBUTION_FIELDS = [
  'provider',
  'api',
  'model',
  'feature',
  'user',
  'team',
  'agent',
  'deployment',
  'accelerator',
  'kind',
  'run_id',
  'parent_run_id',
  'work_item',
  'call_id',
  'hold_id',
] as const;

export type AttributionField = (typeof ATTRIBUTION_FIELDS)[number];

export type CallStatus = 'ok' | 'error' | 'cancelled';

export type CapturedEvent = {
  /** Position in the request. */
  readonly index: number;
  readonly id: string;
  readonly source: string;
  readonly type: string;
  /** The customer, as the client names it; absent events belong to nobody and are refused a price. */
  readonly subject: string | undefined;
  /** When it happened, microseconds since 1970; the receipt when the client did not say. */
  readonly occurredAt: number;
  /** The client sent no time: the receipt stands for it, and is kept beside the event. */
  readonly isTimeFilled: boolean;
  readonly data: Readonly<Record<string, unknown>>;
  readonly status: CallStatus;
  readonly attempt: number;
  /** Whether no further attempt of the same call follows. */
  readonly isFinal: boolean;
  /** 32 hexadecimal digits over (environment, source, id). */
  readonly identity: string;
  /** 32 hexadecimal digits over the canonical body. */
  readonly bodyHash: string;
  /** RFC 8785 text of the event as sent, without what the server filled in. */
  readonly canonical: Buffer;
};

/** Why one event was refused; its neighbours are not touched. */
export type EventError = { readonly code: string; readonly detail: string; readonly pointer?: string };

export type Captured =
  | { readonly ok: true; readonly event: CapturedEvent }
  | { readonly ok: false; readonly index: number; readonly id: string | undefined; readonly error: EventError };

/** Type of the event that takes back another (DESIGN section 9). */
export const VOID_TYPE = 'event.void';

/** Source of the events that Ergon writes itself; no client may send one. */
export const OWN_SOURCE = 'ergon';
