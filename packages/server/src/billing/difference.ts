import { add, isZero, negate, type Decimal, ZERO } from '@ergon/exact';
import type { Owed } from './owed.ts';

/**
 * The lines that bring what was stated about a period to what is owed for it. Pure, and the one rule behind opening, upgrade,
 * close and adjustment: whatever happened in between, the lines of a key sum to what is owed for it.
 */
export function difference(owed: readonly Owed[], stated: ReadonlyMap<string, Owed>): Owed[] {
  const lines: Owed[] = [];
  const left = new Map(stated);
  for (const one of owed) {
    const before = left.get(one.key);
    left.delete(one.key);
    if (before === undefined) {
      lines.push(one);
      continue;
    }
    const amount = add(one.amount, negate(before.amount));
    const quantity = change(one.quantity, before.quantity);
    if (!isZero(amount) || (quantity !== undefined && !isZero(quantity)))
      lines.push({ ...one, amount, ...(quantity !== undefined && { quantity }) });
  }
  for (const before of left.values()) {
    if (isZero(before.amount)) continue;
    const quantity = change(undefined, before.quantity);
    lines.push({ ...before, amount: negate(before.amount), ...(quantity !== undefined && { quantity }) });
  }
  return lines;
}

function change(after: Decimal | undefined, before: Decimal | undefined): Decimal | undefined {
  if (after === undefined && before === undefined) return undefined;
  return add(after ?? ZERO, negate(before ?? ZERO));
}
