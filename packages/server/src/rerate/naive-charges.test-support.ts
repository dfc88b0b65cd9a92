import { add, type Decimal, decimal, isZero, larger, toText, ZERO } from '@ergon/exact';
import { compileRateCard, type CompiledRateCard, rateCardSchema } from '@ergon/rating';

/** An event as the property test thinks of it. */
export type Sent = {
  readonly id: string;
  readonly customer: string;
  /** Hour of 20 November 2026. */
  readonly hour: number;
  readonly model: string;
  readonly input: number;
  readonly output: number;
  /** Of a job; 0 for a call. */
  readonly size: number;
};

export type Version = { readonly id: string; readonly effectiveAt: number; readonly spec: unknown };

const at = (hour: number) => Date.parse(`2026-11-20T${String(hour).padStart(2, '0')}:00:00Z`);

export function asEvent({ id, customer, hour, model, input, output, size }: Sent): unknown {
  const envelope = { id, source: 'test', subject: customer, time: new Date(at(hour)).toISOString() };
  return size > 0
    ? { ...envelope, type: 'job', data: { size, who: `p${size % 3}` } }
    : { ...envelope, type: 'llm.call', data: { model, tokens: { input, output } } };
}

type Bucket = { readonly rate: { marginal(before: Decimal, after: Decimal): Decimal }; quantity: Decimal };

/**
 * What each running total must have charged, from the events and the final catalog alone: customer|version|bucket. It knows
 * nothing of what was recorded, adjusted or voided on the way.
 */
export function naiveCharges(events: readonly Sent[], versions: readonly Version[]): Map<string, string> {
  const cards = versions.map((version) => ({ ...version, card: compiled(version.spec) }));
  const buckets = new Map<string, Bucket>();
  const seen = new Set<string>();
  const latest = new Map<string, string>();
  for (const event of events) {
    // Newest effective first; of two from one instant the later published.
    const version = cards.find(({ effectiveAt }) => effectiveAt <= at(event.hour));
    if (version === undefined) continue;
    for (const [meter, value] of usageOf(event)) {
      const dimensions = { model: event.size > 0 ? undefined : event.model };
      const price = version.card.priceFor(meter, dimensions);
      const cell = price?.isFree === true ? undefined : price?.bucket(dimensions);
      if (price === undefined || cell === undefined) continue;
      const key = `${event.customer}|${version.id}|${price.key}/${cell.key}`;
      const bucket = buckets.get(key) ?? { rate: cell.rate, quantity: ZERO };
      buckets.set(key, bucket);
      const order = `${String(event.hour).padStart(2, '0')}|${event.id}`;
      switch (meter) {
        case 'm_max':
          bucket.quantity = larger(bucket.quantity, value);
          break;
        case 'm_unique':
          if (!seen.has(`${key}|${event.size % 3}`)) bucket.quantity = add(bucket.quantity, decimal(1));
          seen.add(`${key}|${event.size % 3}`);
          break;
        case 'm_latest':
          if ((latest.get(key) ?? '') > order) break;
          latest.set(key, order);
          bucket.quantity = value;
          break;
        default:
          bucket.quantity = add(bucket.quantity, value);
      }
    }
  }
  const charges = [...buckets].map(([key, { rate, quantity }]) => [key, rate.marginal(ZERO, quantity)] as const);
  return new Map(charges.filter(([, amount]) => !isZero(amount)).map(([key, amount]) => [key, toText(amount)]));
}

function usageOf({ input, output, size }: Sent): [string, Decimal][] {
  if (size > 0) return ['m_sum', 'm_max', 'm_unique', 'm_latest'].map((meter) => [meter, decimal(size)]);
  return [
    ['input_tokens', decimal(input)],
    ['output_tokens', decimal(output)],
  ];
}

function compiled(spec: unknown): CompiledRateCard {
  const result = compileRateCard(rateCardSchema.parse(spec));
  if (!result.ok) throw new Error('the card does not compile');
  return result.value;
}
