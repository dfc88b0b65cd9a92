import { type Decimal, isPositive, parseDecimal, scaled, toText } from '@ergon/exact';
import { type JsonObject, object } from './json.ts';

export type ReportedCost = { readonly amount: string; readonly currency: string };

/** xAI counts its charge in ticks of 1e-10 USD (checked on a fixture: 1,466,250 ticks are $0.000146625). */
const XAI_TICK_PLACES = 10;

/**
 * What the provider says it charged, in USD. Zero is how several of them say "unknown", so it is no price. For a call with the
 * customer's own key (OpenRouter's `is_byok`) it is the router's fee alone, and the model's price is on another bill.
 */
export function readReportedCost(usage: JsonObject): ReportedCost | undefined {
  if (usage.cost === undefined && usage.cost_in_usd_ticks === undefined) return undefined;
  if (usage.is_byok === true) return undefined;
  const amount = ticks(usage.cost_in_usd_ticks) ?? dollars(object(usage.cost)?.total_cost ?? usage.cost);
  return amount === undefined || !isPositive(amount) ? undefined : { amount: toText(amount), currency: 'USD' };
}

function ticks(value: unknown): Decimal | undefined {
  return Number.isSafeInteger(value) && typeof value === 'number' ? scaled(BigInt(value), XAI_TICK_PLACES) : undefined;
}

function dollars(value: unknown): Decimal | undefined {
  if (typeof value === 'string') return parseDecimal(value);
  // JSON.parse has made a double of it; its shortest decimal is what the provider wrote.
  return typeof value === 'number' && Number.isFinite(value) ? parseDecimal(String(value)) : undefined;
}

/**
 * Providers whose own figure may stand for the cost: it is what they charge, and holds what no table follows (a router's offers,
 * Perplexity's fee by search). Everyone else's figure is shown beside ours and never replaces it.
 */
const TRUSTED: ReadonlySet<string> = new Set(['openrouter', 'perplexity', 'xai', 'x_ai', 'x-ai']);

/** Whether the provider's reported cost may be used as the cost. */
export function isReportedCostTrusted(provider: string | undefined): boolean {
  return provider !== undefined && TRUSTED.has(provider.toLowerCase());
}
