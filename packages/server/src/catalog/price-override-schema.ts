import { parseDecimal } from '@ergon/exact';
import { TOKEN_CLASSES, type TokenClass, UNIT_NAMES, type UnitName } from '@ergon/usage';
import { z } from '@hono/zod-openapi';
import type { PriceOverride } from '../provider-prices/index.ts';

const PLACES_MAX = 12;

const usd = z
  .string()
  .max(40)
  .refine((text) => {
    const amount = parseDecimal(text);
    return amount !== undefined && amount.coefficient >= 0n && amount.scale <= PLACES_MAX;
  }, `a decimal of at least 0 with at most ${PLACES_MAX} places, as text`)
  .openapi({ example: '2.50' });

const perMillion = z
  .partialRecord(z.enum(TOKEN_CLASSES), usd)
  .openapi({ description: 'USD per million tokens of a class', example: { input: '2.50', output: '10' } });

const name = z.string().min(1).max(200);

/** An operator's own price of a provider's model. */
export const priceOverrideSchema = z
  .strictObject({
    provider: name.openapi({ description: 'As usage names it', example: 'openai' }),
    model: name
      .regex(/^[^*]+\*?$/, 'a name, or the beginning of one ending in *')
      .openapi({ description: 'A name, or the beginning of one and `*`; the exact name wins', example: 'gpt-5*' }),
    per_million_tokens: perMillion.refine((rates) => Object.keys(rates).length > 0, 'at least one class'),
    context_tiers: z
      .array(
        z.strictObject({
          prompt_tokens_above: z.number().int().min(1).max(1_000_000_000),
          per_million_tokens: perMillion,
        }),
      )
      .max(8)
      .optional()
      .openapi({ description: 'Rates for the whole call when its prompt is longer' }),
    per_unit: z
      .partialRecord(z.enum(UNIT_NAMES), usd)
      .optional()
      .openapi({ description: 'USD for one web search, page, image ...' }),
    source: z
      .string()
      .min(1)
      .max(200)
      .openapi({ description: 'Where the figures come from', example: 'contract of 2026-11-01' }),
  })
  .openapi('ProviderPriceOverride');
export type PriceOverrideSpec = z.infer<typeof priceOverrideSchema>;

/** The same as the price table takes it. */
export function priceOverrideOf(
  spec: PriceOverrideSpec,
  from: number | undefined,
  to: number | undefined,
): PriceOverride {
  return {
    provider: spec.provider,
    model: spec.model,
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
    perMillionTokens: rates<TokenClass>(spec.per_million_tokens),
    ...(spec.context_tiers !== undefined && {
      contextTiers: spec.context_tiers.map((tier) => ({
        promptTokensAbove: tier.prompt_tokens_above,
        perMillionTokens: rates<TokenClass>(tier.per_million_tokens),
      })),
    }),
    ...(spec.per_unit !== undefined && { perUnit: rates<UnitName>(spec.per_unit) }),
    source: spec.source,
  };
}

function rates<Name extends string>(
  given: { readonly [Key in Name]?: string | undefined },
): {
  readonly [Key in Name]?: string;
} {
  const kept: { [Key in Name]?: string } = {};
  for (const key in given) if (given[key] !== undefined) kept[key] = given[key];
  return kept;
}
