import { add, compare, type Decimal, divide, isPositive, multiply, ZERO } from '@ergon/exact';
import type { UnitTierSpec } from './charge-model-schema.ts';
import type { SpecError } from './contract.ts';
import { specError } from './spec-error.ts';
import { toDecimal, type WireDecimal } from './wire-decimal.ts';

export type Tier = {
  /** 1-based. */
  readonly number: number;
  /** The tier holds what lies above this and at or below `upTo`. */
  readonly above: Decimal;
  readonly upTo: Decimal | undefined;
  /** Price of a unit, or of a block. */
  readonly unitAmount: Decimal;
  readonly flatAmount: Decimal;
  readonly blockSize: Decimal | undefined;
};

export function compileTiers(specs: readonly UnitTierSpec[]): readonly Tier[] {
  return specs.map((spec, index) => {
    const previous = specs[index - 1]?.up_to;
    return {
      number: index + 1,
      above: previous === undefined || previous === null ? ZERO : toDecimal(previous),
      upTo: spec.up_to === null ? undefined : toDecimal(spec.up_to),
      unitAmount: spec.unit_amount === undefined ? ZERO : toDecimal(spec.unit_amount),
      flatAmount: spec.flat_amount === undefined ? ZERO : toDecimal(spec.flat_amount),
      blockSize: spec.block_size === undefined ? undefined : toDecimal(spec.block_size),
    };
  });
}

/** Bounds must rise, and only the last may (and must) be open. Serves tiers and prompt bands alike. */
export function checkBounds(
  bounds: readonly { readonly up_to: WireDecimal | null }[],
  path: readonly (string | number)[],
): readonly SpecError[] {
  const errors: SpecError[] = [];
  bounds.forEach(({ up_to: bound }, index) => {
    const place = [...path, index, 'up_to'];
    const isLast = index === bounds.length - 1;
    if (isLast !== (bound === null)) {
      errors.push(
        specError(place, 'only the last is open, and it must be', isLast ? 'set it to null' : 'give a bound'),
      );
      return;
    }
    const previous = bounds[index - 1]?.up_to;
    if (bound === null || previous === undefined || previous === null) return;
    if (compare(toDecimal(bound), toDecimal(previous)) <= 0) {
      errors.push(specError(place, 'not above the bound before it', 'list them in rising order'));
    }
  });
  return errors;
}

/** The index of the tier that `quantity` falls into; the first for zero and below. */
export function tierIndex(tiers: readonly Tier[], quantity: Decimal): number {
  let low = 0;
  let high = tiers.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const bound = tiers[middle]?.upTo;
    if (bound !== undefined && compare(quantity, bound) > 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Units, or started blocks, of a quantity in a tier. */
export function billedUnits(tier: Tier, quantity: Decimal): Decimal {
  if (tier.blockSize === undefined) return quantity;
  return divide(quantity, tier.blockSize, { places: 0, mode: 'ceiling' });
}

/** Price of `quantity` units in a tier, its flat amount included once it holds a quantity above zero. */
export function tierAmount(tier: Tier, quantity: Decimal, flatFeeAtZero: boolean): Decimal {
  const amount = multiply(billedUnits(tier, quantity), tier.unitAmount);
  const flat = flatDue(tier, quantity, flatFeeAtZero);
  return flat === ZERO ? amount : add(amount, flat);
}

/** The flat amount of a tier that holds `quantity`. At or below zero only the first tier's, and only where asked for. */
export function flatDue(tier: Tier, quantity: Decimal, flatFeeAtZero: boolean): Decimal {
  return isPositive(quantity) || (flatFeeAtZero && tier.number === 1) ? tier.flatAmount : ZERO;
}
