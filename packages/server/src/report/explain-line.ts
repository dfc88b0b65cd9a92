import { add, decimal, isZero, larger, subtract, toText, ZERO } from '@ergon/exact';
import { type Bucket, type ChargeLine, type CompiledPrice, LOCAL_TIME_DIMENSION } from '@ergon/rating';
import { z } from '@hono/zod-openapi';
import { localMinute } from '../catalog/billing-month.ts';
import type { Contribution } from '../catalog/custom-meter.ts';
import type { CardVersion } from '../catalog/snapshot.ts';
import { decimalOutput } from '../http/wire.ts';
import { matchBucket } from '../record/match-price.ts';
import type { PreparedEvent } from '../record/prepare.ts';
import { isChargedAtClose } from '../record/recorded-bucket.ts';
import type { EventRating, RatedLine } from '../record/types.ts';

const partAnswer = z.strictObject({
  tier: z.number().int().optional().openapi({ description: 'Counted from 1' }),
  description: z.string().optional(),
  quantity: decimalOutput,
  unit_amount: decimalOutput.optional(),
  flat_amount: decimalOutput.optional(),
  amount: decimalOutput,
});
type Part = z.infer<typeof partAnswer>;

export const lineAnswer = z
  .strictObject({
    meter: z.string(),
    price: z
      .strictObject({ card: z.string(), version: z.number().int(), key: z.string() })
      .nullable()
      .openapi({ description: 'Price of the card version that rated it' }),
    bucket: z.string().openapi({ description: 'The running total it went into' }),
    period: z.string().nullable().openapi({
      description: 'First day of the month, or of the subscription period',
      example: '2026-11-01',
    }),
    quantity: decimalOutput,
    total_before: decimalOutput,
    total_after: decimalOutput,
    unit_amount: decimalOutput.optional().openapi({ description: 'Where one price held for the whole quantity' }),
    tier: z.number().int().optional().openapi({ description: 'Where one tier held for the whole quantity' }),
    parts: z.array(partAnswer).openapi({ description: 'Tier by tier, where the price is one of a running total' }),
    amount: decimalOutput,
    currency: z.string(),
    absorbed: z.enum(['failed_call', 'retry']).optional().openapi({ description: 'Why nothing was charged' }),
    grants: z.array(z.strictObject({ grant: z.string(), amount: decimalOutput })),
    receivable: decimalOutput.openapi({ description: 'What no grant covered' }),
  })
  .openapi('RatedLine');

/** The event whose dimensions chose the line's price, and the zone its local time was told in. */
export type RatedSubject = { readonly prepared: PreparedEvent; readonly timeZone: string };

/** @param receivables the customer's receivable accounts: a reversal names them by number, a charge by null. */
export function explainLine(
  line: RatedLine,
  rating: EventRating,
  version: CardVersion | undefined,
  subject: RatedSubject,
  receivables: ReadonlySet<number>,
): z.infer<typeof lineAnswer> {
  const found = version === undefined ? undefined : priceOf(line, version, subject);
  const aggregation = contributionOf(line, subject)?.meter.aggregation;
  const isPriced = found?.bucket !== undefined && !isChargedAtClose(aggregation);
  const parts = isPriced ? partsOf(line, found.price, found.bucket) : [];
  const [only, ...more] = parts;
  const single = more.length === 0 ? only : undefined;
  const isReceivable = (account: number | null) => account === null || receivables.has(account);
  const unpaid = line.shares.filter(([account]) => isReceivable(account));
  return {
    meter: line.meter,
    price:
      version === undefined || found === undefined
        ? null
        : { card: version.key, version: version.version, key: found.price.key },
    bucket: line.bucket,
    period: rating.period,
    quantity: line.quantity,
    total_before: line.before,
    total_after: line.after,
    ...(single?.unit_amount !== undefined && { unit_amount: single.unit_amount }),
    ...(single?.tier !== undefined && { tier: single.tier }),
    parts,
    amount: line.amount,
    currency: rating.currency ?? '',
    ...(line.absorbed !== undefined && { absorbed: line.absorbed }),
    grants: line.shares.flatMap(([account, amount]) =>
      isReceivable(account) ? [] : { grant: String(account), amount },
    ),
    receivable: toText(unpaid.reduce((sum, [, amount]) => add(sum, decimal(amount)), ZERO)),
  };
}

type FoundPrice = { readonly price: CompiledPrice; readonly bucket: Bucket | undefined };

/** The line's price by its name; its bucket too, unless a meter or zone that it was chosen by has changed since. */
function priceOf(line: RatedLine, version: CardVersion, subject: RatedSubject): FoundPrice | undefined {
  const { prepared, timeZone } = subject;
  const dimensions = {
    ...prepared.dimensions,
    ...contributionOf(line, subject)?.group,
    token_class: prepared.quantities.find((one) => one.meter === line.meter)?.tokenClass,
    [LOCAL_TIME_DIMENSION]: version.needsLocalTime ? localMinute(prepared.event.occurredAt, timeZone) : undefined,
  };
  let byName: CompiledPrice | undefined;
  for (const price of version.card.prices) {
    if (!line.bucket.startsWith(`${price.key}/`)) continue;
    const bucket = matchBucket(price, dimensions);
    if (bucket !== undefined && `${price.key}/${bucket.key}` === line.bucket) return { price, bucket };
    if (byName === undefined || byName.key.length < price.key.length) byName = price;
  }
  return byName === undefined ? undefined : { price: byName, bucket: undefined };
}

function contributionOf(line: RatedLine, { prepared }: RatedSubject): Contribution | undefined {
  return prepared.contributions.find((one) => one.meter.key === line.meter);
}

/** Only a running total's price is a function of what was recorded: totals before and after. */
function partsOf(line: RatedLine, price: CompiledPrice, bucket: Bucket): Part[] {
  if (price.timing !== 'cumulative' || line.absorbed !== undefined) return [];
  const [before, after] = [decimal(line.before), decimal(line.after)];
  const [from, to] = [larger(before, ZERO), larger(after, ZERO)];
  // Below zero usage costs nothing (record/recorded-bucket.ts), and its units stand beside the others.
  const below = subtract(subtract(after, before), subtract(to, from));
  const parts = bucket.rate.explain(from, to).lines.map(partOf);
  if (isZero(below)) return parts;
  const priced = parts.filter(({ quantity, amount }) => quantity !== '0' || amount !== '0');
  return [...priced, { description: 'below zero', quantity: toText(below), amount: '0' }];
}

function partOf(line: ChargeLine): Part {
  return {
    ...(line.tier !== undefined && { tier: line.tier }),
    ...(line.description !== undefined && { description: line.description }),
    quantity: toText(line.quantity),
    ...(line.unitAmount !== undefined && { unit_amount: toText(line.unitAmount) }),
    ...(line.flatAmount !== undefined && { flat_amount: toText(line.flatAmount) }),
    amount: toText(line.amount),
  };
}
