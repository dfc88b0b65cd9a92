/**
 * What a quantity costs, written a second time as plainly as possible: bigint in units of 10^-18, no caching, no marginals.
 * The service must agree with it to the last digit.
 */
export type NaiveTier = { readonly up_to: string | null; readonly unit_amount: string; readonly flat_amount?: string };

export type NaiveModel =
  | { readonly type: 'per_unit'; readonly unit_amount: string }
  | {
      readonly type: 'package';
      readonly package_size: string;
      readonly package_amount: string;
      readonly free_units: string;
    }
  | { readonly type: 'graduated'; readonly tiers: readonly NaiveTier[] }
  | { readonly type: 'volume'; readonly tiers: readonly NaiveTier[] };

const ONE = 10n ** 18n;
/** Amounts are kept to 12 decimals. */
const LEDGER = 10n ** 6n;

/** A non-negative decimal text as units of 10^-18. */
export function naiveDecimal(text: string): bigint {
  const [whole = '0', fraction = ''] = text.split('.');
  return BigInt(whole) * ONE + BigInt(fraction.padEnd(18, '0'));
}

/** R(q) for a whole quantity, rounded half away from zero to 12 decimals, in units of 10^-18. */
export function naiveCharge(model: NaiveModel, quantity: bigint): bigint {
  return ((exactCharge(model, quantity) + LEDGER / 2n) / LEDGER) * LEDGER;
}

function exactCharge(model: NaiveModel, quantity: bigint): bigint {
  switch (model.type) {
    case 'per_unit':
      return quantity * naiveDecimal(model.unit_amount);
    case 'package': {
      const size = BigInt(model.package_size);
      const paid = quantity - BigInt(model.free_units);
      return paid <= 0n ? 0n : ((paid + size - 1n) / size) * naiveDecimal(model.package_amount);
    }
    case 'graduated': {
      let total = 0n;
      let below = 0n;
      for (const tier of model.tiers) {
        const top = tier.up_to === null || BigInt(tier.up_to) > quantity ? quantity : BigInt(tier.up_to);
        if (top <= below) break;
        total += (top - below) * naiveDecimal(tier.unit_amount) + naiveDecimal(tier.flat_amount ?? '0');
        below = top;
      }
      return total;
    }
    case 'volume': {
      if (quantity === 0n) return 0n;
      const tier = model.tiers.find((one) => one.up_to === null || quantity <= BigInt(one.up_to));
      if (tier === undefined) throw new Error('the last tier is open');
      return quantity * naiveDecimal(tier.unit_amount) + naiveDecimal(tier.flat_amount ?? '0');
    }
  }
}
