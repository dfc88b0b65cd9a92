import { isAdjusting, isTakeBack } from '../record/adjusting-event.ts';
import type { EventRating } from '../record/types.ts';
import type { BlockEvent } from './read-blocks.ts';
import type { Adjusted } from './resolve-adjustments.ts';
import type { VoidedEvent } from './resolve-voids.ts';

/** An event, a void or an adjusting record, with what voids and re-ratings make of it. */
export type AuditedEvent = VoidedEvent & {
  /** Of an adjusting record: the event that it is about. */
  readonly adjusted: BlockEvent | undefined;
  readonly isTakeBack: boolean;
  /** The lines count for nothing any more: a void or a re-rating has taken them back. */
  readonly isTakenBack: boolean;
  /** What of the event has no price now; of voids and adjusting records nothing, because their events have it. */
  readonly unratedNow: EventRating['unrated'];
};

export function auditedEvent(one: VoidedEvent, adjusted: Adjusted): AuditedEvent {
  const { identity } = one.event;
  const isRecord = isAdjusting(one.event);
  const unratedNow =
    isRecord || one.target !== undefined || one.isVoided ? [] : (adjusted.unrated.get(identity) ?? one.rating.unrated);
  return {
    ...one,
    adjusted: isRecord ? adjusted.targets.get(identity) : undefined,
    isTakeBack: isTakeBack(one.event),
    isTakenBack: one.isVoided || adjusted.takenBack.has(identity),
    unratedNow,
  };
}
