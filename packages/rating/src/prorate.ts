import { add, allocate, type Decimal, decimal, divide, multiply, negate } from '@ergon/exact';
import type { PeriodShare } from './contract.ts';

/**
 * `amount` for a part of a period, rounded once to `places`, half away from zero. Count both lengths in days for day-based
 * proration, in microseconds for second-based.
 *
 * @throws RangeError when the part is no part of the whole.
 */
export function prorate(amount: Decimal, { part, whole }: PeriodShare, places: number): Decimal {
  if (whole <= 0n || part < 0n || part > whole) throw new RangeError(`${part} is no part of ${whole}`);
  return divide(multiply(amount, decimal(part)), decimal(whole), { places, mode: 'half-away-from-zero' });
}

/** `amount` divided over the lengths of consecutive parts of a period; the results sum to it exactly. */
export function prorateParts(amount: Decimal, lengths: readonly bigint[], places: number): readonly Decimal[] {
  return allocate(amount, lengths.map(decimal), places);
}

/** A change of a fixed price within a period: what is given back, what is charged, and what is due of the two. */
export type PriceChange = { readonly credit: Decimal; readonly charge: Decimal; readonly due: Decimal };

/**
 * Upgrade or downgrade with `share` of the period left: the unused rest of the old price comes back, the rest of the new one
 * is charged. Each line is rounded for itself, as it will be printed.
 */
export function prorateChange(
  change: { readonly from: Decimal; readonly to: Decimal },
  share: PeriodShare,
  places: number,
): PriceChange {
  const credit = negate(prorate(change.from, share, places));
  const charge = prorate(change.to, share, places);
  return { credit, charge, due: add(charge, credit) };
}

/**
 * Calendar days from one ISO date to another (`2026-11-21`); the later one is not counted.
 *
 * @throws RangeError when a text is no date of the Gregorian calendar.
 */
export function daysBetween(from: string, to: string): bigint {
  return dayNumber(to) - dayNumber(from);
}

function dayNumber(date: string): bigint {
  const match = /^(\d{4})-(\d{2})-(\d{2})$/.exec(date);
  const at = match === null ? Number.NaN : Date.parse(`${date}T00:00:00Z`);
  // Date.parse moves a 30 February into March; the round trip finds it.
  if (Number.isNaN(at) || new Date(at).toISOString().slice(0, 10) !== date) {
    throw new RangeError(`not a date: ${JSON.stringify(date.slice(0, 40))}`);
  }
  return BigInt(at) / 86_400_000n;
}
