import { LOCAL_TIME_DIMENSION, PROMPT_TOKENS_DIMENSION, promptTokens } from '@ergon/rating';
import type { TokenClass } from '@ergon/usage';
import { TOKEN_METERS } from '../../catalog/built-in-meters.ts';
import { scalarText } from '../../catalog/custom-meter.ts';
import { decodeRating } from '../../record/encode-rating.ts';
import { hasUsage, recordedDimensions } from '../../record/prepare.ts';
import type { EventView } from './stored-event.ts';
import type { RatingHead } from './stored-lines.ts';

type Dimensions = Record<string, string | undefined>;

/** Dimensions that stand in the event as they are; of the others only the normalised usage knows. */
const PLAIN: Readonly<Record<string, (event: EventView, head: RatingHead) => string | undefined>> = {
  type: (event) => event.type,
  status: (event) => event.status,
  model: (event) => event.text('model'),
  canonical_model: (_event, head) => head.m?.[0],
  model_family: (_event, head) => head.m?.[1],
  feature: (event) => event.text('feature'),
  user: (event) => event.text('user'),
  team: (event) => event.text('team'),
  agent: (event) => event.text('agent'),
  kind: (event) => event.text('kind'),
  [PROMPT_TOKENS_DIMENSION]: (event, head) => (hasUsage(event) ? promptLength(head) : undefined),
  // Filled while an event's quantities are looked at.
  token_class: () => undefined,
  [LOCAL_TIME_DIMENSION]: () => undefined,
};
const NORMALISED: ReadonlySet<string> = new Set([
  ...['provider', 'api', 'deployment', 'accelerator', 'service_tier', 'region', 'context_length'],
]);

const TOKEN_CLASS_OF: ReadonlyMap<string, TokenClass> = new Map(
  TOKEN_METERS.map((meter) => [meter.key, meter.tokenClass]),
);

/**
 * The dimensions of recorded events, of which a card asks only for some: reading those few is several times as fast as
 * normalising each event's usage anew, and gives the same.
 */
export class EventDimensions {
  readonly #readers: readonly (readonly [string, (event: EventView, head: RatingHead) => string | undefined])[];
  readonly #isPlain: boolean;
  readonly #asksPrompt: boolean;
  readonly #asksModel: boolean;
  /** Whether a property of the events is among them, whose digits matter. */
  readonly hasProperties: boolean;
  /** Whether the events themselves need not be looked at. */
  readonly isNothingAsked: boolean;

  constructor(asked: ReadonlySet<string>) {
    const names = new Set(asked);
    // A price on the model is looked for by the model's own name as well.
    if (names.has('model')) names.add('canonical_model');
    this.#isPlain = ![...names].some((name) => NORMALISED.has(name));
    this.#asksModel = names.has('model');
    this.#asksPrompt = names.has(PROMPT_TOKENS_DIMENSION);
    this.hasProperties = [...names].some((name) => !Object.hasOwn(PLAIN, name));
    this.isNothingAsked = [...names].every((name) => name === 'token_class' || name === LOCAL_TIME_DIMENSION);
    this.#readers = [...names].map((name) => {
      const plain = Object.hasOwn(PLAIN, name) ? PLAIN[name] : undefined;
      if (name === 'token_class' || name === LOCAL_TIME_DIMENSION) return [name, () => undefined];
      return [name, (event, head) => plain?.(event, head) ?? property(event, name)];
    });
  }

  of(event: EventView, head: RatingHead, rating: string): Dimensions {
    if (!this.#isPlain || this.#isPeculiar(event, rating)) {
      const { model, work } = decodeRating(rating);
      return recordedDimensions(event, { model, work });
    }
    const dimensions: Dimensions = {};
    for (const [name, read] of this.#readers) dimensions[name] = read(event, head);
    return dimensions;
  }

  /** Another model answered than was asked for, or a count was too large to be metered: the plain members do not tell it. */
  #isPeculiar(event: EventView, rating: string): boolean {
    if (this.#asksModel && event.mentions('"iterations"')) {
      const { usage } = event.data;
      if (typeof usage === 'object' && usage !== null && 'iterations' in usage) return true;
    }
    return this.#asksPrompt && rating.includes('quantity_too_large');
  }
}

function promptLength(head: RatingHead): string {
  const tokens: Partial<Record<TokenClass, number>> = {};
  for (const [meter, quantity] of head.q) {
    const tokenClass = TOKEN_CLASS_OF.get(meter);
    if (tokenClass !== undefined) tokens[tokenClass] = Number(quantity);
  }
  return String(promptTokens(tokens));
}

function property({ data }: EventView, name: string): string | undefined {
  const { properties } = data;
  if (typeof properties !== 'object' || properties === null || Array.isArray(properties)) return undefined;
  if (!Object.hasOwn(properties, name)) return undefined;
  const scalar = scalarText((properties as Readonly<Record<string, unknown>>)[name]);
  return scalar === undefined || scalar.length > 256 ? undefined : scalar;
}
