import fc from 'fast-check';
import type { NaiveModel } from './naive-rating.ts';

export const MODELS = ['gpt-5', 'gpt-5-mini', 'claude-opus-4-5'] as const;
export const FEATURES = ['chat', 'search'] as const;

/** One call as a test thinks of it; `event` below is how a client sends it. */
export type Call = {
  readonly id: string;
  readonly customer: string;
  readonly model: (typeof MODELS)[number];
  readonly feature: (typeof FEATURES)[number];
  readonly input: number;
  readonly cacheRead: number;
  readonly output: number;
  /** When it happened: hours before the tests ran. */
  readonly hoursAgo: number;
};

/** The prices of a generated card: one cumulative model a meter, and a matrix of two for cached tokens. */
export type CardModels = {
  readonly requests: NaiveModel;
  readonly input: NaiveModel;
  readonly output: NaiveModel;
  readonly cacheGpt: NaiveModel;
  readonly cacheOther: NaiveModel;
  /** Whether requests have a running total of their own for every hour. */
  readonly isHourly: boolean;
};

const places = (count: number) =>
  fc
    .bigInt({ min: 1n, max: 10n ** BigInt(count) })
    .map((digits) => `0.${(digits % 10n ** BigInt(count) || 1n).toString().padStart(count, '0')}`);

/** Up to 15 decimals, so that rounding to 12 happens and matters. */
const unitAmount = fc.oneof(places(15), places(9), places(4), fc.integer({ min: 1, max: 9 }).map(String));

const tiers = fc.uniqueArray(fc.integer({ min: 1, max: 4000 }), { minLength: 0, maxLength: 4 }).chain((bounds) => {
  const tops: (string | null)[] = [...bounds.toSorted((a, b) => a - b).map(String), null];
  return fc.tuple(
    ...tops.map((top) =>
      fc.record({ unit_amount: unitAmount, flat_amount: fc.constantFrom('0', '0.5', '3') }).map((rate) => ({
        up_to: top,
        ...rate,
      })),
    ),
  );
});

const cumulativeModel: fc.Arbitrary<NaiveModel> = fc.oneof(
  unitAmount.map((amount): NaiveModel => ({ type: 'per_unit', unit_amount: amount })),
  fc
    .record({
      package_size: fc.integer({ min: 1, max: 500 }).map(String),
      package_amount: unitAmount,
      free_units: fc.constantFrom('0', '7', '100'),
    })
    .map((sizes): NaiveModel => ({ type: 'package', ...sizes })),
  tiers.map((list): NaiveModel => ({ type: 'graduated', tiers: list })),
  tiers.map((list): NaiveModel => ({ type: 'volume', tiers: list })),
);

export const cardModels: fc.Arbitrary<CardModels> = fc.record({
  requests: cumulativeModel,
  input: cumulativeModel,
  output: cumulativeModel,
  cacheGpt: cumulativeModel,
  cacheOther: cumulativeModel,
  isHourly: fc.boolean(),
});

/** The card as a publisher writes it. Each price has the key by which its accumulators are found again. */
export function cardSpec(models: CardModels): unknown {
  return {
    currency: 'USD',
    prices: [
      {
        key: 'requests',
        meter: 'requests',
        charge_model: models.isHourly ? { ...models.requests, window: 'hour' } : models.requests,
      },
      { key: 'input', meter: 'input_tokens', charge_model: models.input },
      { key: 'output', meter: 'output_tokens', charge_model: models.output },
      {
        key: 'cache',
        meter: 'cache_read_tokens',
        charge_model: {
          type: 'matrix',
          dimensions: ['model'],
          cells: [{ match: { model: 'gpt-5*' }, charge_model: models.cacheGpt }],
          default: { charge_model: models.cacheOther },
        },
      },
    ],
  };
}

export function calls(customers: readonly string[], lengths: { minLength: number; maxLength: number }) {
  const tokens = fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 300 }), fc.integer({ min: 300, max: 3000 }));
  return fc
    .array(
      fc.record({
        customer: fc.constantFrom(...customers),
        model: fc.constantFrom(...MODELS),
        feature: fc.constantFrom(...FEATURES),
        input: tokens,
        cacheRead: tokens,
        output: tokens,
        hoursAgo: fc.constantFrom(0, 0, 1, 5, 27),
      }),
      lengths,
    )
    .map((list): Call[] => list.map((call, index) => ({ ...call, id: `call_${index}` })));
}

const STARTED_AT = Date.now() - 60_000;

function occurredAt(call: Call): string {
  return new Date(STARTED_AT - call.hoursAgo * 3_600_000).toISOString();
}

export function event(call: Call): unknown {
  return {
    specversion: '1.0',
    id: call.id,
    source: 'property',
    type: 'llm.call',
    subject: call.customer,
    time: occurredAt(call),
    data: {
      provider: 'openai',
      model: call.model,
      feature: call.feature,
      tokens: { input: call.input, cache_read: call.cacheRead, output: call.output },
    },
  };
}

/** The correction that takes a call back. */
export function voidOf(call: Call): unknown {
  return { id: `void_${call.id}`, source: 'property', type: 'event.void', data: { source: 'property', id: call.id } };
}

/** What a call adds to each running total of the card, in the order in which its meters are rated. */
export function lines(call: Call, models: CardModels): readonly Line[] {
  const isGpt = call.model.startsWith('gpt-5');
  // A billing period is a month, a window an hour, both of UTC here.
  const hour = occurredAt(call).slice(0, 13);
  const month = hour.slice(0, 7);
  const all: Line[] = [
    {
      price: 'requests',
      bucket: `requests/${models.isHourly ? hour : month}`,
      meter: 'requests',
      quantity: 1n,
      model: models.requests,
    },
    {
      price: 'input',
      bucket: `input/${month}`,
      meter: 'input_tokens',
      quantity: BigInt(call.input),
      model: models.input,
    },
    {
      price: 'cache',
      bucket: `cache/${isGpt ? 'gpt' : 'other'}/${month}`,
      meter: 'cache_read_tokens',
      quantity: BigInt(call.cacheRead),
      model: isGpt ? models.cacheGpt : models.cacheOther,
    },
    {
      price: 'output',
      bucket: `output/${month}`,
      meter: 'output_tokens',
      quantity: BigInt(call.output),
      model: models.output,
    },
  ];
  return all.filter((line) => line.quantity > 0n);
}

export type Line = {
  readonly price: string;
  readonly bucket: string;
  readonly meter: string;
  readonly quantity: bigint;
  readonly model: NaiveModel;
};
