import { TOKEN_CLASSES, type TokenClass } from '@ergon/usage';

/** A meter that Ergon fills by itself, from the built-in event types (DESIGN sections 6 and 8). */
export type BuiltInMeter = {
  readonly key: string;
  readonly unit: string;
  /** Column of usage_rollup; `null` for a meter derived from others when read. */
  readonly column: string | null;
  /** Whether the column is numeric rather than bigint. */
  readonly isDecimal: boolean;
  readonly tokenClass?: TokenClass;
};

function counter(key: string, unit: string): BuiltInMeter {
  return { key, unit, column: key, isDecimal: false };
}

function decimalCounter(key: string, unit: string): BuiltInMeter {
  return { key, unit, column: key, isDecimal: true };
}

export const TOKEN_METERS: readonly (BuiltInMeter & { readonly tokenClass: TokenClass })[] = TOKEN_CLASSES.map(
  (tokenClass) => ({
    ...counter(`${tokenClass}_tokens`, 'token'),
    tokenClass,
  }),
);

export const BUILT_IN_METERS: readonly BuiltInMeter[] = [
  counter('requests', 'request'),
  counter('errors', 'request'),
  counter('retries', 'request'),
  ...TOKEN_METERS,
  counter('tool_calls', 'call'),
  counter('agent_actions', 'action'),
  counter('retrievals', 'query'),
  counter('documents', 'document'),
  decimalCounter('pages', 'page'),
  counter('web_searches', 'search'),
  counter('api_calls', 'call'),
  decimalCounter('flops', 'FLOP'),
  decimalCounter('hbm_bytes', 'byte'),
  decimalCounter('accelerator_seconds', 'second'),
  decimalCounter('accelerator_seconds_allocated', 'second'),
  decimalCounter('accelerator_seconds_reported', 'second'),
  decimalCounter('compute_units', 'unit'),
  // A deployment's own cost in USD: a meter, so that a card can charge it with a markup.
  decimalCounter('physical_cost', 'USD'),
  { key: 'total_tokens', unit: 'token', column: null, isDecimal: false },
];

/** Money kept in the same rollup: what the customer is charged, in their card's currency, and the provider's price in USD. */
export const MONEY_METERS: readonly BuiltInMeter[] = [
  { key: 'charge', unit: 'currency', column: 'charge', isDecimal: true },
  { key: 'provider_cost', unit: 'USD', column: 'provider_cost', isDecimal: true },
];

/** Position of each stored built-in meter in a rollup row, in the order of the columns. */
export const ROLLUP_METERS: readonly BuiltInMeter[] = [...BUILT_IN_METERS, ...MONEY_METERS].filter(
  (meter) => meter.column !== null,
);

export const ROLLUP_POSITION: ReadonlyMap<string, number> = new Map(
  ROLLUP_METERS.map((meter, index) => [meter.key, index]),
);

const BY_KEY: ReadonlyMap<string, BuiltInMeter> = new Map(
  [...BUILT_IN_METERS, ...MONEY_METERS].map((meter) => [meter.key, meter]),
);

export function builtInMeter(key: string): BuiltInMeter | undefined {
  return BY_KEY.get(key);
}

/** Dimensions by which built-in usage can be grouped and filtered; one set of them is one row of a rollup's minute. */
export const USAGE_DIMENSIONS = [
  'type',
  'provider',
  'model',
  'canonical_model',
  'model_family',
  'feature',
  'user',
  'team',
  'agent',
  'status',
  'service_tier',
  'region',
  'deployment',
  'accelerator',
  'kind',
  // Bucket of the prompt's length, of calls whose work was counted.
  'context_length',
  'currency',
] as const;

export type UsageDimension = (typeof USAGE_DIMENSIONS)[number];
