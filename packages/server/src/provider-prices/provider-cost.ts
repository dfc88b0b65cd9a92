import {
  add,
  type Decimal,
  decimal,
  divide,
  larger,
  multiply,
  parseDecimal,
  roundAmount,
  scaled,
  ZERO,
} from '@ergon/exact';
import {
  TOKEN_CLASSES,
  type TokenClass,
  type Tokens,
  UNIT_NAMES,
  type UsageFlag,
  type UsageRecord,
} from '@ergon/usage';
import type { ContextTier, CostLine, ProviderCost, ProviderPrice, UnitRate } from './types.ts';

export type CostOptions = {
  /** Also return the lines of the sum. Off on the ingest path. */
  readonly explain?: boolean;
  /** The price of an iteration that ran on another model, at the time and tier of the record. */
  readonly priceOf?: (model: string) => ProviderPrice | undefined;
};

/**
 * What the provider charges for a record at `price`, each token class at its rate of the context tier that the prompt of
 * one iteration reached.
 *
 * `undefined` when nothing in the record could be priced, or it reports no usage at all: unknown, which is never zero.
 * `price` is the price of the record's own model; it may be missing when iterations name theirs.
 */
export function providerCost(
  price: ProviderPrice | undefined,
  record: UsageRecord,
  options: CostOptions = {},
): ProviderCost | undefined {
  const tally = new Tally(options.explain === true);
  if (price !== undefined) {
    tally.flags = price.flags;
    tally.source = price.source;
  }
  if (record.iterations !== undefined && record.iterations.length > 0) {
    for (const { model, tokens } of record.iterations) {
      const own = model === undefined || model === record.model ? price : options.priceOf?.(model);
      if (own === undefined)
        tally.miss('iteration_model_unpriced', `no price is known for ${(model ?? 'the model').slice(0, 200)}`);
      else addTokens(tally, own, tokens, false);
    }
  } else if (price !== undefined) {
    addTokens(tally, price, record.tokens, record.isPromptSummed === true);
  }
  if (price !== undefined) addUnits(tally, price, record);
  if (!tally.hasUsage || (tally.isIncomplete && !tally.hasPriced)) return undefined;
  if (price?.requestFee !== undefined) addUnit(tally, price, 'requests', '1', price.requestFee);
  return tally.result();
}

/** The running sum of one cost. Lives for one call; a class because the sum has five parts that move together. */
class Tally {
  flags: readonly UsageFlag[] = NO_FLAGS;
  isIncomplete = false;
  /** Something was reported, were it zero. */
  hasUsage = false;
  hasPriced = false;
  source = '';
  tier: ContextTier | undefined;
  readonly lines: CostLine[] | undefined;
  #amount: Decimal = ZERO;

  constructor(explain: boolean) {
    this.lines = explain ? [] : undefined;
  }

  add(amount: Decimal): void {
    this.#amount = this.#amount === ZERO ? amount : add(this.#amount, amount);
  }

  flag(flag: UsageFlag): void {
    if (this.flags.length < FLAGS_MAX && !this.flags.includes(flag)) this.flags = [...this.flags, flag];
  }

  miss(code: string, detail: string): void {
    this.isIncomplete = true;
    this.hasUsage = true;
    this.flag({ code, detail });
  }

  result(): ProviderCost {
    const amount = roundAmount(this.#amount);
    const { flags, tier, lines, source } = this;
    const cost = { amount, currency: 'USD', isComplete: !this.isIncomplete, basis: 'table', source, flags } as const;
    if (tier === undefined && lines === undefined) return cost;
    return { ...cost, ...(tier && { tier: { promptTokensAbove: tier.promptTokensAbove } }), ...(lines && { lines }) };
  }
}

/** More say nothing new; a record with thousands of unknown iterations must not cost quadratic time. */
const FLAGS_MAX = 40;
const NO_FLAGS: readonly UsageFlag[] = [];
const TIER_UNDECIDED: UsageFlag = {
  code: 'context_tier_undecided',
  detail: 'the prompt is a sum over several model calls, so no context tier can be decided on it; standard rates used',
};

function addTokens(tally: Tally, price: ProviderPrice, tokens: Tokens, isPromptSummed: boolean): void {
  if (tally.source === '') tally.source = price.source;
  // An iteration on another model brings what is to be said about that model's price.
  if (price.flags !== tally.flags) for (const flag of price.flags) tally.flag(flag);
  const tier = price.tiers.length === 1 ? price.tiers[0] : contextTier(tally, price, tokens, isPromptSummed);
  let total = 0n;
  for (let index = 0; index < TOKEN_CLASSES.length; index++) {
    const name = TOKEN_CLASSES[index];
    const count = name && tokens[name];
    if (name === undefined || count === undefined) continue;
    tally.hasUsage = true;
    if (count === 0) continue;
    const rate = tier.rates[index];
    if (rate === undefined) {
      tally.miss(
        'class_unpriced',
        `${price.provider} ${price.model}: ${name} has no price; ${count} tokens are not in the cost`,
      );
      continue;
    }
    if (!Number.isSafeInteger(count) || count < 0) {
      tally.miss('quantity_invalid', `${name} is ${count}, which is no count of tokens; it is not in the cost`);
      continue;
    }
    tally.hasPriced = true;
    const amount = BigInt(count) * rate.coefficient;
    total += amount;
    if (rate.flag !== undefined) tally.flag(rate.flag);
    if (tally.lines !== undefined) addLine(tally.lines, price, name, count, rate.coefficient);
  }
  tally.add(scaled(total, price.scale));
}

function addLine(lines: CostLine[], price: ProviderPrice, name: TokenClass, count: number, coefficient: bigint): void {
  const quantity = decimal(count);
  const unitAmount = scaled(coefficient, price.scale);
  lines.push({ class: name, model: price.model, quantity, unitAmount, amount: multiply(quantity, unitAmount) });
}

/** The vendors' rule: the size of one prompt, everything the model read, moves the whole request to the tier. */
function contextTier(tally: Tally, price: ProviderPrice, tokens: Tokens, isPromptSummed: boolean): ContextTier {
  const prompt = promptTokens(tokens);
  const [base, ...others] = price.tiers;
  const reached = others.findLast((tier) => prompt > tier.promptTokensAbove);
  if (reached === undefined) return base;
  if (isPromptSummed) {
    tally.flag(TIER_UNDECIDED);
    return base;
  }
  if (tally.tier === undefined || reached.promptTokensAbove > tally.tier.promptTokensAbove) tally.tier = reached;
  return reached;
}

function promptTokens(tokens: Tokens): number {
  return (
    (tokens.input ?? 0) +
    (tokens.tool_use ?? 0) +
    (tokens.cache_write_5m ?? 0) +
    (tokens.cache_write_1h ?? 0) +
    (tokens.cache_read ?? 0) +
    (tokens.input_audio ?? 0) +
    (tokens.input_image ?? 0) +
    (tokens.input_video ?? 0)
  );
}

function addUnits(tally: Tally, price: ProviderPrice, record: UsageRecord): void {
  for (const name of UNIT_NAMES) {
    const quantity = record.units[name];
    if (quantity === undefined) continue;
    addUnit(tally, price, name, quantity, price.units[name]);
  }
}

/** Places kept of a quotient such as dollars an hour by the second, before the one rounding to 12. */
const QUOTIENT_PLACES = 18;

function addUnit(
  tally: Tally,
  price: ProviderPrice,
  name: CostLine['class'],
  text: string,
  rate: UnitRate | undefined,
): void {
  const reported = parseDecimal(text);
  if (reported === undefined || reported.coefficient < 0n) {
    tally.miss(
      'quantity_invalid',
      `${name} is ${JSON.stringify(text.slice(0, 60))}, which is no quantity; it is not in the cost`,
    );
    return;
  }
  tally.hasUsage = true;
  if (reported.coefficient === 0n) return;
  if (rate === undefined) {
    tally.miss(
      'unit_unpriced',
      `${price.provider} ${price.model}: ${name} has no price; ${text} of them are not in the cost`,
    );
    return;
  }
  tally.hasPriced = true;
  const quantity = rate.minimum === undefined ? reported : larger(reported, rate.minimum);
  if (quantity !== reported)
    tally.flag({ code: 'minimum_applied', detail: `${name}: billed as the provider's minimum` });
  const rounding = { places: QUOTIENT_PLACES, mode: 'half-away-from-zero' } as const;
  const amount = divide(multiply(quantity, rate.amount), rate.per, rounding);
  tally.add(amount);
  tally.lines?.push({
    class: name,
    model: price.model,
    quantity,
    unitAmount: divide(rate.amount, rate.per, rounding),
    amount,
  });
}
