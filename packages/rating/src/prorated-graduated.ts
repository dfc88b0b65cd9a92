import {
  absolute,
  add,
  type Decimal,
  divide,
  isZero,
  larger,
  multiply,
  roundAmount,
  smaller,
  subtract,
  sum,
  ZERO,
} from '@ergon/exact';
import { chargeModelSchema } from './charge-model-schema.ts';
import type { Compiled } from './contract.ts';
import { schemaErrors, specError } from './spec-error.ts';
import { checkBounds, compileTiers, type Tier, tierIndex } from './tiers.ts';

/** A change of a held quantity, and the same change counted only for the part of the period it was in force. */
export type ProratedChange = { readonly quantity: Decimal; readonly prorated: Decimal };

/** Digits kept within one change before the sum is rounded once to 12; far below what 12 decimals can show. */
const INNER_PLACES = 30;

/**
 * Graduated prices for a quantity that is held, such as seats (Lago's prorated graduated charge). The full quantity decides
 * the tier of each unit; a unit costs its tier's price for the part of the period it was held. The flat amount of every tier
 * that was reached is due once and whole. Never below zero. Block sizes and limits of the model do not apply.
 */
export function chargeProratedGraduated(chargeModel: unknown, changes: readonly ProratedChange[]): Compiled<Decimal> {
  const parsed = chargeModelSchema.safeParse(chargeModel);
  if (!parsed.success) return { ok: false, errors: schemaErrors(parsed.error) };
  const spec = parsed.data;
  if (spec.type !== 'graduated') {
    return { ok: false, errors: [specError(['type'], 'only graduated prices are prorated by unit', 'use graduated')] };
  }
  const errors = checkBounds(spec.tiers, ['tiers']);
  if (errors.length > 0) return { ok: false, errors };
  return { ok: true, value: amountOf(compileTiers(spec.tiers), changes) };
}

function amountOf(tiers: readonly Tier[], changes: readonly ProratedChange[]): Decimal {
  let held = ZERO;
  let highest = ZERO;
  let amount = ZERO;
  for (const { quantity, prorated } of changes) {
    const reached = add(held, quantity);
    if (!isZero(quantity)) amount = add(amount, changeAmount(tiers, held, reached, prorated));
    highest = larger(highest, reached);
    held = reached;
  }
  const flat = isZero(highest) ? [] : tiers.slice(0, tierIndex(tiers, highest) + 1).map((tier) => tier.flatAmount);
  return larger(ZERO, roundAmount(add(amount, sum(flat))));
}

/** `prorated` divided over the tiers that the change passes through, in proportion to its units in each. */
function changeAmount(tiers: readonly Tier[], from: Decimal, to: Decimal, prorated: Decimal): Decimal {
  const [low, high] = [smaller(from, to), larger(from, to)];
  const weighted = sum(tiers.map((tier) => multiply(overlap(tier, low, high), tier.unitAmount)));
  const length = absolute(subtract(to, from));
  return divide(multiply(weighted, prorated), length, { places: INNER_PLACES, mode: 'half-away-from-zero' });
}

/** Units between `low` and `high` that lie in a tier; the first also holds those below zero. */
function overlap(tier: Tier, low: Decimal, high: Decimal): Decimal {
  const bottom = tier.number === 1 ? low : larger(low, tier.above);
  const top = tier.upTo === undefined ? high : smaller(high, tier.upTo);
  return larger(ZERO, subtract(top, bottom));
}
