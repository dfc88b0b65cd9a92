import { captureEvent } from '../event/capture-event.ts';
import { type CapturedEvent, OWN_SOURCE } from '../event/event.ts';
import { formatInstant } from '../event/instant.ts';

/** An adjusting record that rates an event anew. */
const RATING_TYPE = 'event.rating';
/** An adjusting record that takes back what an earlier rating of an event charged. */
const TAKE_BACK_TYPE = 'event.rating_taken_back';

type Origin = Pick<CapturedEvent, 'type' | 'source'>;

/** Whether the event is a record that adjusts the charge of another: it has lines, and no usage of its own. */
export function isAdjusting(event: Origin): boolean {
  // Anybody's event has a type; few have one of these, and only then the source is looked at.
  return (event.type === RATING_TYPE || event.type === TAKE_BACK_TYPE) && event.source === OWN_SOURCE;
}

/** Whether the text of an event may be that of an adjusting record: the types of both begin alike. */
export function mayAdjust(text: string): boolean {
  return text.includes(RATING_TYPE);
}

export function isTakeBack({ type, source }: Origin): boolean {
  return source === OWN_SOURCE && type === TAKE_BACK_TYPE;
}

/** The event that is adjusted, as an adjusting record names it. */
export function adjustedEvent({ data }: Pick<CapturedEvent, 'data'>): { readonly source: string; readonly id: string } {
  return { source: String(data.source), id: String(data.id) };
}

/** The record of a re-rating for one event: its id follows from both, so that it is posted once. */
export function ratingEvent(environmentId: number, target: CapturedEvent, rerateId: bigint, now: number) {
  const id = `rerate:${rerateId}:${target.identity}`;
  return ownEvent(environmentId, target, { type: RATING_TYPE, id, data: { rerate: String(rerateId) } }, now);
}

/** The record that takes a rating back: a rating is taken back once, so its identity names the record. */
export function takeBackEvent(
  environmentId: number,
  target: CapturedEvent,
  rating: CapturedEvent,
  rerateId: bigint | null,
  now: number,
): CapturedEvent {
  const of = {
    ...(rating.identity !== target.identity && { rating: rating.id }),
    ...(rerateId !== null && { rerate: String(rerateId) }),
  };
  return ownEvent(environmentId, target, { type: TAKE_BACK_TYPE, id: `take-back:${rating.identity}`, data: of }, now);
}

function ownEvent(
  environmentId: number,
  target: CapturedEvent,
  own: { readonly type: string; readonly id: string; readonly data: Readonly<Record<string, string>> },
  now: number,
): CapturedEvent {
  const body = {
    ...own,
    source: OWN_SOURCE,
    ...(target.subject !== undefined && { subject: target.subject }),
    time: formatInstant(target.occurredAt),
    data: {
      ...own.data,
      ...(typeof target.data.model === 'string' && { model: target.data.model }),
      source: target.source,
      id: target.id,
    },
  };
  const captured = captureEvent(body, 0, { environmentId, receivedAt: now, oldest: 0, isStored: true });
  if (!captured.ok) throw new Error(`an adjusting record cannot be written: ${captured.error.detail}`);
  return captured.event;
}
