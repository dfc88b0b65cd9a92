import { add, compare, type Decimal } from '@ergon/exact';
import { Temporal } from 'temporal-polyfill';

export type TopUpSchedule = {
  readonly every: 'day' | 'week' | 'month';
  /** The first instant, microseconds since 1970; the others follow in the customer's time zone. */
  readonly anchorAt: number;
};

export type TopUpRule = {
  readonly amount: Decimal;
  /** Tops up when less than this is available. */
  readonly threshold: Decimal | undefined;
  readonly schedule: TopUpSchedule | undefined;
  readonly cap:
    | { readonly per: 'day' | 'month'; readonly count: number | undefined; readonly amount: Decimal | undefined }
    | undefined;
  readonly cooldownSeconds: number;
};

/** How things stand at one instant, read under the lock of the wallet's rule. */
export type TopUpFacts = {
  /** Microseconds since 1970. */
  readonly now: number;
  readonly available: Decimal;
  /** A top-up by threshold is pending. */
  readonly isPending: boolean;
  readonly lastRequestedAt: number | undefined;
  /** Top-ups asked for by the rule in the cap's period, failed ones too; and the sum of those that have not failed. */
  readonly countInPeriod: number;
  readonly amountInPeriod: Decimal;
  readonly ruleSetAt: number;
  readonly lastSlot: number | undefined;
  readonly timeZone: string;
};

export type TopUpDecision =
  | { readonly kind: 'none' }
  | { readonly kind: 'request' | 'capped'; readonly trigger: 'threshold' }
  | { readonly kind: 'request' | 'capped'; readonly trigger: 'schedule'; readonly slot: number };

/**
 * Whether a wallet is topped up now. A scheduled instant comes first; after a long stop only the latest is made up for, so
 * that a server that comes back asks for one payment, not for ten.
 */
export function autoTopUp(rule: TopUpRule, facts: TopUpFacts): TopUpDecision {
  const kind = isCapped(rule, facts) ? 'capped' : 'request';
  const slot = rule.schedule === undefined ? undefined : latestSlot(rule.schedule, facts.now, facts.timeZone);
  if (slot !== undefined && slot >= facts.ruleSetAt && slot > (facts.lastSlot ?? Number.NEGATIVE_INFINITY))
    return { kind, trigger: 'schedule', slot };
  if (rule.threshold === undefined || compare(facts.available, rule.threshold) >= 0) return { kind: 'none' };
  const isCooling =
    facts.lastRequestedAt !== undefined && facts.now < facts.lastRequestedAt + rule.cooldownSeconds * 1_000_000;
  return facts.isPending || isCooling ? { kind: 'none' } : { kind, trigger: 'threshold' };
}

function isCapped({ cap, amount }: TopUpRule, facts: TopUpFacts): boolean {
  if (cap === undefined) return false;
  if (cap.count !== undefined && facts.countInPeriod >= cap.count) return true;
  return cap.amount !== undefined && compare(add(facts.amountInPeriod, amount), cap.amount) > 0;
}

/** The latest scheduled instant that has come; `undefined` before the first. A day that a month lacks is its last. */
export function latestSlot(schedule: TopUpSchedule, now: number, timeZone: string): number | undefined {
  if (now < schedule.anchorAt) return undefined;
  const anchor = zoned(schedule.anchorAt, timeZone);
  const unit = `${schedule.every}s` as const;
  const whole = Math.floor(
    anchor.until(zoned(now, timeZone), { largestUnit: unit }).total({ unit, relativeTo: anchor }),
  );
  // Counting whole months back from the 31st may be one off; the instants themselves decide.
  let count = whole + 1;
  while (count > 0 && microsOf(anchor.add({ [unit]: count })) > now) count -= 1;
  return microsOf(anchor.add({ [unit]: count }));
}

/** When the cap's period began: a calendar day or month in the customer's zone. */
export function capPeriodStart(per: 'day' | 'month', now: number, timeZone: string): number {
  const day = zoned(now, timeZone).toPlainDate();
  const first = per === 'day' ? day : day.with({ day: 1 });
  return microsOf(first.toZonedDateTime(timeZone).startOfDay());
}

function zoned(micros: number, timeZone: string): Temporal.ZonedDateTime {
  return Temporal.Instant.fromEpochMilliseconds(Math.floor(micros / 1000)).toZonedDateTimeISO(timeZone);
}

function microsOf(at: Temporal.ZonedDateTime): number {
  return at.epochMilliseconds * 1000;
}
