import { type CallWatch, type UsageRecord, type UsageWarningCode, usageWarnings, type WatchedCall } from '@ergon/usage';
import type { CapturedEvent } from '../event/event.ts';

/** A recorded event as the quality checks see it. */
export type CheckedEvent = {
  readonly event: CapturedEvent;
  readonly usage: UsageRecord;
  /** Undefined: the event names no customer, so there is no list to put it on. */
  readonly customerId: number | undefined;
};

/** A mistake of a sender, seen on one event. */
export type QualityFinding = {
  /** The event that shows it, by its position among those checked. */
  readonly position: number;
  readonly customerId: number | undefined;
  readonly kind: UsageWarningCode;
  readonly detail: string;
  /** Events concerned. */
  readonly count: number;
  readonly source: string;
  readonly id: string;
  /** Whether the finding is of this event, or of a source of which this event is one. */
  readonly isOfEvent: boolean;
};

const MINUTE_MICROS = 60_000_000;

/** The classic mistakes in these events, each by itself and beside what came before. Sound events cost next to nothing. */
export function findMistakes(events: readonly CheckedEvent[], watch: CallWatch): readonly QualityFinding[] {
  const findings: QualityFinding[] = [];
  const calls: WatchedCall[] = [];
  const positions: number[] = [];
  events.forEach(({ event, usage, customerId }, position) => {
    const { type, source, id, data } = event;
    const isFailed = event.status !== 'ok';
    const durationMs = typeof data.duration_ms === 'number' ? data.duration_ms : undefined;
    for (const { code, detail } of usageWarnings({ record: usage, type, durationMs, isFailed })) {
      findings.push({ position, customerId, kind: code, detail, count: 1, source, id, isOfEvent: true });
    }
    if (customerId === undefined || (type !== 'llm.call' && type !== 'embedding.call')) return;
    positions.push(position);
    calls.push({
      customer: customerId,
      source,
      minute: Math.floor(event.occurredAt / MINUTE_MICROS),
      callId: callIdOf(data),
      record: usage,
      isFailed: isFailed || event.attempt > 1,
    });
  });
  for (const { position: call, warning, calls: count } of watch.see(calls)) {
    const position = positions[call] ?? 0;
    const checked = events[position];
    if (checked === undefined) continue;
    const { event, customerId } = checked;
    const { code: kind, detail } = warning;
    findings.push({ position, customerId, kind, detail, count, source: event.source, id: event.id, isOfEvent: false });
  }
  return findings;
}

const CALL_ID = /^[\x20-\x7e]{1,256}$/;

/** What every door that sees a call can name it by. */
export function callIdOf(data: CapturedEvent['data']): string | undefined {
  const { call_id: callId, response_id: responseId } = data;
  if (typeof callId === 'string') return callId;
  return typeof responseId === 'string' && CALL_ID.test(responseId) ? responseId : undefined;
}
