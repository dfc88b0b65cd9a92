import { parseJsonExact } from '../../event/canonical.ts';
import type { CallStatus } from '../../event/event.ts';
import { parseInstant } from '../../event/instant.ts';

/** The beginning of a stored rating (record/encode-rating.ts): all but its lines and what follows them. */
export type RatingHead = {
  /** Customer. */
  readonly c: number | null;
  /** Receipt, where no time was sent. */
  readonly t?: number;
  readonly q: readonly (readonly [meter: string, quantity: string])[];
  readonly m?: readonly [canonical: string, family?: string];
  /** Period. */
  readonly p?: string;
};

/** An event as pricing looks at it. Its stored body was checked when it came. */
export type EventView = {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly subject: string | undefined;
  readonly occurredAt: number;
  readonly data: Readonly<Record<string, unknown>>;
  readonly status: CallStatus;
  readonly isFinal: boolean;
};

type StoredBody = {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly subject?: string;
  readonly time?: string;
  readonly data: Readonly<Record<string, unknown>>;
};

/** The lines of a rating are most of its text, and a simulation makes its own. No string inside can hold the mark unescaped. */
export function ratingHead(text: string): RatingHead {
  const lines = text.indexOf(',"l":');
  return JSON.parse(lines === -1 ? text : `${text.slice(0, lines)}}`) as RatingHead;
}

/** @param isExact whether a number that a double rounds must keep its digits; the quantities of built-in meters stand in the rating. */
export function eventView(text: string, receivedAt: number, isExact: boolean): EventView {
  const body = (isExact ? parseJsonExact(text) : JSON.parse(text)) as StoredBody;
  const { id, source, type, subject, time, data } = body;
  const status = (data.status as CallStatus | null | undefined) ?? 'ok';
  return {
    id,
    source,
    type,
    subject,
    occurredAt: time === undefined ? receivedAt : (parseInstant(time) ?? receivedAt),
    data,
    status,
    isFinal: typeof data.final === 'boolean' ? data.final : status === 'ok',
  };
}
