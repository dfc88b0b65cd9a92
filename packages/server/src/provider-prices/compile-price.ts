import { type Decimal, decimal, multiply, parseDecimal, round, scaled } from '@ergon/exact';
import { TOKEN_CLASSES, type TokenClass, UNIT_NAMES, type UnitName, type UsageFlag } from '@ergon/usage';
import type { ModelPrice } from '@pydantic/genai-prices';
import { CACHE_WRITE_RULES, MINIMUM_RULES, UNITS_WITHOUT_CHARGE } from './price-rules.ts';
import type { ContextTier, ProviderPrice, RateTable, TokenRate, UnitRate } from './types.ts';

/** Figures by the library's keys, each USD per million tokens or per the key's own unit, as exact decimals. */
export type Figures = {
  readonly base: ReadonlyMap<string, Decimal>;
  readonly tiers: ReadonlyMap<string, readonly Step[]>;
};
export type Step = { readonly above: number; readonly price: Decimal };

/** A rate before all rates of a price are brought to one scale: USD per million tokens. */
type PerMillion = { readonly price: Decimal; readonly flag?: UsageFlag };

/**
 * The library's figures as an exact price, or `undefined` when it holds none.
 *
 * Its doubles are read back as the literals they were written from: the shortest text of a double is that literal. Two
 * figures went through arithmetic upstream (`0.18000000000000002`); rounding to 12 places a million, which is the 18 places
 * a unit price may have (DESIGN section 5), takes that residue away and changes no other figure.
 */
export function compilePrice(
  provider: string,
  model: string,
  figures: ModelPrice,
  source: string,
): ProviderPrice | undefined {
  return compileFigures(provider, model, readFigures(figures), source);
}

/** The same from exact figures. */
export function compileFigures(
  provider: string,
  model: string,
  parsed: Figures,
  source: string,
): ProviderPrice | undefined {
  // An empty table entry is a price nobody entered, unless the model's own name says that it is free.
  const isFree = parsed.base.size === 0 && model.endsWith(':free');
  if (parsed.base.size === 0 && !isFree) return undefined;
  const thresholds = [...new Set([...parsed.tiers.values()].flat().map((step) => step.above))].sort((a, b) => a - b);
  const drafts = [-1, ...thresholds].map((above) => ({
    above,
    rates: isFree ? FREE : draftRates(model, parsed, above),
  }));
  const scale = 6 + Math.max(0, ...drafts.flatMap(({ rates }) => rates.map((rate) => rate?.price.scale ?? 0)));
  const [base, ...tiers] = drafts.map(({ above, rates }) => contextTier(above, rates, scale));
  if (base === undefined) return undefined;
  const fee = unitRate(parsed, ['requests_kcount'], 1000);
  return {
    provider,
    model,
    source,
    scale,
    tiers: [base, ...tiers],
    units: unitRates(provider, model, parsed),
    ...(fee === undefined ? {} : { requestFee: fee }),
    flags: [],
  };
}

/** The same price with every token rate multiplied; per-call units and fees are not discounted by any provider we know. */
export function withTokenFactor(price: ProviderPrice, factor: Decimal, flag: UsageFlag): ProviderPrice {
  const scaleTier = (tier: ContextTier): ContextTier => ({
    promptTokensAbove: tier.promptTokensAbove,
    rates: tier.rates.map((rate) => rate && { ...rate, coefficient: rate.coefficient * factor.coefficient }),
  });
  const [base, ...tiers] = price.tiers;
  return {
    ...price,
    scale: price.scale + factor.scale,
    tiers: [scaleTier(base), ...tiers.map(scaleTier)],
    flags: [...price.flags, flag],
  };
}

const FREE: readonly PerMillion[] = TOKEN_CLASSES.map(() => ({ price: decimal(0) }));

function readFigures(figures: ModelPrice): Figures {
  const base = new Map<string, Decimal>();
  const tiers = new Map<string, readonly Step[]>();
  for (const [key, value] of Object.entries(figures)) {
    const literal = exactFigure(typeof value === 'object' ? value.base : value);
    if (literal === undefined) continue;
    base.set(key, literal);
    if (typeof value !== 'object') continue;
    const steps = value.tiers.flatMap(({ start, price }) => {
      const exact = exactFigure(price);
      return exact === undefined ? [] : [{ above: start, price: exact }];
    });
    tiers.set(key, steps);
  }
  return { base, tiers };
}

/** The literal behind a double of the table, in USD; `undefined` for anything that is no price. */
export function exactFigure(figure: number | undefined): Decimal | undefined {
  if (figure === undefined || !Number.isFinite(figure) || figure < 0) return undefined;
  const literal = parseDecimal(String(figure));
  return literal && trimmed(round(literal, { places: 12, mode: 'half-away-from-zero' }));
}

/** Without trailing zeros, so that a residue rounded away does not widen the scale of every rate beside it. */
function trimmed(value: Decimal): Decimal {
  let { coefficient, scale } = value;
  while (scale > 0 && coefficient % 10n === 0n) {
    coefficient /= 10n;
    scale--;
  }
  return scaled(coefficient, scale);
}

/** The figure of `key` for prompts above `above`: the highest of its own steps not above it, else its base. */
function figure({ base, tiers }: Figures, key: string, above: number): Decimal | undefined {
  const reached = (tiers.get(key) ?? []).filter((step) => step.above <= above).sort((a, b) => a.above - b.above);
  return reached.at(-1)?.price ?? base.get(key);
}

/** DESIGN section 8's fallbacks, class by class. A class whose stand-in may be wrong carries a flag. */
function draftRates(model: string, figures: Figures, above: number): (PerMillion | undefined)[] {
  const at = (key: string): PerMillion | undefined => {
    const price = figure(figures, key, above);
    return price && { price };
  };
  const input = at('input_mtok');
  const output = at('output_mtok');
  const rates: Record<TokenClass, PerMillion | undefined> = {
    input,
    tool_use: at('input_tool_mtok') ?? input,
    cache_write_5m: at('cache_write_5m_mtok') ?? at('cache_write_mtok') ?? cacheWrite(model, input, '5m'),
    cache_write_1h: at('cache_write_1h_mtok') ?? cacheWrite(model, input, '1h', at('cache_write_mtok')),
    cache_read:
      at('cache_read_mtok') ??
      standIn(input, 'cache_read_at_input_price', 'cache reads have no price; input price used'),
    output,
    reasoning: at('output_reasoning_mtok') ?? output,
    hidden_output: output,
    rejected_prediction: output,
    input_audio:
      at('input_audio_mtok') ?? standIn(input, 'audio_at_text_price', 'audio input has no price; text price used'),
    input_image: at('input_image_mtok') ?? input,
    input_video: at('input_video_mtok') ?? input,
    output_audio:
      at('output_audio_mtok') ?? standIn(output, 'audio_at_text_price', 'audio output has no price; text price used'),
    output_image: at('output_image_mtok') ?? output,
  };
  return TOKEN_CLASSES.map((name) => rates[name]);
}

function standIn(rate: PerMillion | undefined, code: string, detail: string): PerMillion | undefined {
  return rate && { price: rate.price, flag: { code, detail } };
}

function cacheWrite(
  model: string,
  input: PerMillion | undefined,
  lifetime: '5m' | '1h',
  shorter?: PerMillion,
): PerMillion | undefined {
  const rule = CACHE_WRITE_RULES.find(
    (candidate) => candidate.lifetime === lifetime && model.includes(candidate.modelPart),
  );
  if (rule !== undefined && input !== undefined) {
    const detail = `cache writes (${lifetime}) priced at ${rule.factor} x input: ${rule.source}`;
    return {
      price: multiply(input.price, decimal(rule.factor)),
      flag: { code: `cache_write_${lifetime}_by_rule`, detail },
    };
  }
  if (shorter !== undefined) {
    return standIn(
      shorter,
      'cache_write_1h_at_5m_price',
      "one-hour cache writes have no price; the shorter lifetime's used",
    );
  }
  return standIn(input, 'cache_write_at_input_price', `cache writes (${lifetime}) have no price; input price used`);
}

function contextTier(above: number, rates: readonly (PerMillion | undefined)[], scale: number): ContextTier {
  const table: RateTable = rates.map((rate): TokenRate | undefined => {
    if (rate === undefined) return undefined;
    const coefficient = rate.price.coefficient * 10n ** BigInt(scale - 6 - rate.price.scale);
    return rate.flag === undefined ? { coefficient } : { coefficient, flag: rate.flag };
  });
  return { promptTokensAbove: Math.max(above, 0), rates: table };
}

/** The library's per-call prices under our unit names: key candidates in order, and how many units a figure is for. */
const UNIT_KEYS: Readonly<Partial<Record<UnitName, { readonly keys: readonly string[]; readonly per: number }>>> = {
  web_searches: { keys: ['web_searches_kcount'], per: 1000 },
  social_searches: { keys: ['social_searches_kcount'], per: 1000 },
  code_executions: { keys: ['code_executions_kcount'], per: 1000 },
  file_searches: { keys: ['storage_searches_kcount'], per: 1000 },
  search_units: { keys: ['rerank_searches_kcount'], per: 1000 },
  citation_tokens: { keys: ['output_citation_mtok'], per: 1_000_000 },
  audio_seconds: { keys: ['input_audio_hours', 'audio_hours'], per: 3600 },
  pages: { keys: ['input_document_kpages'], per: 1000 },
  characters: { keys: ['input_mchars'], per: 1_000_000 },
};

function unitRates(provider: string, model: string, figures: Figures): ProviderPrice['units'] {
  const rates: { [Name in UnitName]?: UnitRate } = {};
  for (const { unit, provider: seller } of UNITS_WITHOUT_CHARGE) {
    if (seller === provider) rates[unit] = { amount: decimal(0), per: decimal(1) };
  }
  for (const name of UNIT_NAMES) {
    const listed = UNIT_KEYS[name];
    const rate = listed && unitRate(figures, listed.keys, listed.per);
    if (rate === undefined) continue;
    const rule = MINIMUM_RULES.find(
      (one) => one.provider === provider && one.unit === name && one.models.includes(model),
    );
    rates[name] = rule === undefined ? rate : { ...rate, minimum: decimal(rule.minimum) };
  }
  return rates;
}

function unitRate(figures: Figures, keys: readonly string[], per: number): UnitRate | undefined {
  const amount = keys.map((key) => figures.base.get(key)).find((price) => price !== undefined);
  return amount && { amount, per: decimal(per) };
}
