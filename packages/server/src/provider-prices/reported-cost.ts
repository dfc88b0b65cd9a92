import { equals, isPositive, parseDecimal, roundAmount } from '@ergon/exact';
import { isReportedCostTrusted, type UsageRecord } from '@ergon/usage';
import { PROVIDER_ALIASES } from './price-rules.ts';
import type { ProviderCost } from './types.ts';

/**
 * The provider's own figure where it is one we trust, else ours. Zero is not a price: a gateway that answers 0 mostly did
 * not know (litellm #37924).
 *
 * @param seller The table's id of the provider, when the model was found.
 */
export function trustedReportedCost(
  record: UsageRecord,
  seller: string | undefined,
  computed: ProviderCost | undefined,
): ProviderCost | undefined {
  const reported = record.providerReportedCost;
  const named = record.provider?.toLowerCase().trim() ?? '';
  const provider = seller ?? PROVIDER_ALIASES.get(named) ?? named;
  if (reported === undefined || reported.currency !== 'USD' || !isReportedCostTrusted(provider)) return computed;
  const figure = parseDecimal(reported.amount);
  if (figure === undefined || !isPositive(figure)) return computed;
  const amount = roundAmount(figure);
  const source = `reported by ${provider}`;
  const basis = { amount, currency: 'USD', isComplete: true, basis: 'provider_reported', source } as const;
  if (computed === undefined) return { ...basis, flags: [] };
  if (equals(amount, computed.amount)) return { ...computed, ...basis };
  const flag = {
    code: 'reported_cost_differs',
    detail: 'the provider charged another amount than the price table gives',
  };
  return { ...computed, ...basis, flags: [...computed.flags, flag] };
}
