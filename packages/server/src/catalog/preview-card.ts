import { add, type Decimal, larger, sum, ZERO } from '@ergon/exact';
import {
  type Bucket,
  type Charge,
  type ChargeLine,
  type CompiledPrice,
  type CompiledRateCard,
  type EventState,
  FIRST_EVENT,
} from '@ergon/rating';
import { matchBucket, matchPrice } from '../record/match-price.ts';

/** A quantity of one meter, or the quantities of single events of it. */
export type PreviewedUsage = {
  readonly meter: string;
  readonly quantities: readonly Decimal[];
  /** Units of the same running total before; only its first usage may say so. */
  readonly before: Decimal | undefined;
  readonly dimensions: Readonly<Record<string, string | undefined>>;
};

export type PreviewedLine = ChargeLine & {
  readonly meter: string;
  readonly price: string;
  readonly bucket?: string;
};

export type CardPreview =
  | {
      readonly ok: true;
      readonly amount: Decimal;
      readonly lines: readonly PreviewedLine[];
      readonly unrated: readonly {
        readonly meter: string;
        readonly quantity: Decimal;
        readonly reason: 'no_price' | 'no_matching_cell';
      }[];
    }
  | { readonly ok: false; readonly index: number; readonly detail: string; readonly remedy: string };

type Running = { readonly price: CompiledPrice; readonly bucket: Bucket; state: EventState; charged: Decimal };

/**
 * What a list of usage costs under a card, in its order. Where no usage says what came before, the usage is a whole period's,
 * and what falls due at its close is part of the answer: fixed amounts, minimums, true-ups.
 */
export function previewCard(card: CompiledRateCard, usage: readonly PreviewedUsage[]): CardPreview {
  const running = new Map<Bucket, Running>();
  const lines: PreviewedLine[] = [];
  const unrated: Extract<CardPreview, { readonly ok: true }>['unrated'][number][] = [];
  for (const [index, { meter, quantities, before, dimensions }] of usage.entries()) {
    const price = matchPrice(card, meter, { ...dimensions });
    const bucket = price === undefined ? undefined : matchBucket(price, { ...dimensions });
    if (price === undefined || bucket === undefined) {
      unrated.push({ meter, quantity: sum(quantities), reason: price === undefined ? 'no_price' : 'no_matching_cell' });
      continue;
    }
    if (price.timing === 'at_close') continue;
    const known = running.get(bucket);
    const fault = whyNotAfter(price, before, known);
    if (fault !== undefined) return { ok: false, index, ...fault };
    const total = known ?? { price, bucket, state: { ...FIRST_EVENT, quantity: before ?? ZERO }, charged: ZERO };
    running.set(bucket, total);
    const charge = advance(total, quantities);
    for (const line of charge.lines) lines.push({ ...line, meter, price: price.key, bucket: bucket.key });
  }
  if (usage.every(({ before }) => before === undefined)) lines.push(...closing(card, [...running.values()]));
  return { ok: true, amount: sum(lines.map(({ amount }) => amount)), lines, unrated };
}

function whyNotAfter(
  price: CompiledPrice,
  before: Decimal | undefined,
  known: Running | undefined,
): { readonly detail: string; readonly remedy: string } | undefined {
  if (before === undefined) return undefined;
  if (known !== undefined) {
    return {
      detail: 'the running total has usage before it in this list',
      remedy: 'say it at the first usage of a total',
    };
  }
  if (price.timing !== 'per_event') return undefined;
  return {
    detail: 'what came before single events is no quantity',
    remedy: 'send all events of the period as transactions',
  };
}

function advance(total: Running, quantities: readonly Decimal[]): Charge {
  const { price, bucket } = total;
  const lines: ChargeLine[] = [];
  let amount = ZERO;
  for (const quantity of price.timing === 'per_event' ? quantities : [sum(quantities)]) {
    const after = add(total.state.quantity, quantity);
    const next =
      bucket.perEvent === undefined
        ? { charge: chargeBetween(bucket, total.state.quantity, after), state: { ...total.state, quantity: after } }
        : bucket.perEvent.next(total.state, quantity);
    total.state = next.state;
    lines.push(...next.charge.lines);
    amount = add(amount, next.charge.amount);
  }
  total.charged = add(total.charged, amount);
  return { amount, lines };
}

/** Below zero usage costs nothing, as when it is recorded. */
function chargeBetween(bucket: Bucket, before: Decimal, after: Decimal): Charge {
  return bucket.rate.explain(larger(before, ZERO), larger(after, ZERO));
}

function closing(card: CompiledRateCard, totals: readonly Running[]): PreviewedLine[] {
  return card.prices.flatMap((price) => {
    if (price.isFree) return [];
    const usage = totals
      .filter((total) => total.price === price)
      .map(({ bucket, charged }) => ({ key: bucket.key, charged }));
    return price.close({ usage }).lines.map((line) => ({ ...line, meter: price.meter, price: price.key }));
  });
}
