import { add, type Decimal, decimal, divide, multiply, QUANTITY_PLACES, ZERO } from '@ergon/exact';

/** A change of a level (seats, gigabytes) at an instant; negative where it falls. Instants are microseconds. */
export type LevelChange = { readonly at: bigint; readonly change: Decimal };

/**
 * A level times the time it was held from `from` to before `to`, in units of `per` microseconds: with `per` an hour,
 * gigabytes give gigabyte-hours; with `per` the whole period, the average level (Lago's weighted sum).
 *
 * Changes may come in any order; those before `from` set the level at its start, those at or after `to` do not count.
 *
 * @throws RangeError when `per` is not above zero or the period is empty.
 */
export function weightedSum(
  changes: readonly LevelChange[],
  period: { readonly from: bigint; readonly to: bigint; readonly per: bigint },
): Decimal {
  const { from, to, per } = period;
  if (to <= from || per <= 0n) throw new RangeError('a weighted sum needs a period and a unit of time above zero');
  // A change counts for as long as it is in force, so that no running level has to be kept.
  const held = changes.reduce((total, { at, change }) => {
    const start = at < from ? from : at;
    return start >= to ? total : add(total, multiply(change, decimal(to - start)));
  }, ZERO);
  return divide(held, decimal(per), { places: QUANTITY_PLACES, mode: 'half-away-from-zero' });
}
