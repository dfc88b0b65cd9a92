import type { ConditionalPrice, ModelInfo, ModelPrice } from '@pydantic/genai-prices';

/** One set of figures and when it holds. Instants are microseconds since 1970; times of day are microseconds UTC. */
type Period = { readonly appliesAt: (at: number) => boolean; readonly figures: ModelPrice };

const DAY = 86_400_000_000;
const TIME = /^(\d{2}):(\d{2}):(\d{2})(?:\.\d+)?(?:Z|([+-])(\d{2}):(\d{2}))$/;

/**
 * The dated figures of a model, as the library chooses among them: the last entry whose constraint holds wins, an entry
 * without a constraint always holds, and the first entry stands when none does.
 *
 * Never empty. The index of an entry is its identity for {@link periodAt}.
 */
export type PriceSchedule = readonly [Period, ...Period[]];

export function priceSchedule(prices: ModelInfo['prices']): PriceSchedule {
  const entries = Array.isArray(prices) ? prices : [{ prices }];
  const [first, ...rest] = entries.map(period);
  return first === undefined ? [{ appliesAt: () => true, figures: {} }] : [first, ...rest];
}

/** Index of the period in force at `at`. */
export function periodAt(schedule: PriceSchedule, at: number): number {
  for (let index = schedule.length - 1; index > 0; index--) {
    if (schedule[index]?.appliesAt(at) === true) return index;
  }
  return 0;
}

function period(entry: ConditionalPrice): Period {
  return { appliesAt: constraint(entry.constraint), figures: entry.prices };
}

function constraint(rule: ConditionalPrice['constraint']): (at: number) => boolean {
  if (rule === undefined) return () => true;
  if (rule.type === 'start_date') {
    const from = Date.parse(`${rule.start_date}T00:00:00Z`) * 1000;
    return (at) => at >= from;
  }
  const from = timeOfDay(rule.start_time);
  const to = timeOfDay(rule.end_time);
  // A window over midnight is the union of its two ends.
  if (to < from) return (at) => withinDay(at) >= from || withinDay(at) < to;
  return (at) => withinDay(at) >= from && withinDay(at) < to;
}

function withinDay(at: number): number {
  return ((at % DAY) + DAY) % DAY;
}

function timeOfDay(text: string): number {
  const match = TIME.exec(text);
  // A window that cannot be read never applies; the comparison with NaN is false either way.
  if (match === null) return Number.NaN;
  const [, hours, minutes, seconds, sign, zoneHours = '0', zoneMinutes = '0'] = match;
  const zone = (Number(zoneHours) * 60 + Number(zoneMinutes)) * 60 * (sign === '-' ? -1 : 1);
  const local = Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
  return withinDay((local - zone) * 1_000_000);
}
