import { AMOUNT_PLACES, add, type Decimal, decimal, scaled, toText } from '@ergon/exact';
import { writeString } from '../capture/canonical.ts';
import type { LedgerUnits, Share } from '../ledger/burn.ts';
import type { EventRating, RatedLine } from './types.ts';

/**
 * Ratings are stored as compact JSON, one line an event, written by concatenation: it is the ingest path's most frequent
 * text. `decodeRating` is the inverse.
 *
 * {"c":customer,"q":[[meter,quantity]...],"k":quality,"v":version,"p":period,"y":currency,
 *  "l":[[meter,bucket,quantity,before,after or null when before + quantity,amount,[[account,amount]...],absorbed]...],
 *  "o":[cost,source],"u":[[meter,quantity,reason]...],"f":[{code,detail}...]}
 */
type StoredLine = readonly [
  meter: string,
  bucket: string,
  quantity: string,
  before: string,
  after: string | null,
  amount: string,
  shares: RatedLine['shares'],
  absorbed?: 'failed_call' | 'retry',
];

type StoredRating = {
  readonly c: number | null;
  readonly q: EventRating['quantities'];
  readonly k?: string;
  readonly v?: number;
  readonly p?: string;
  readonly y?: string;
  readonly l?: readonly StoredLine[];
  readonly o?: readonly [string, string];
  readonly u?: EventRating['unrated'];
  readonly f?: EventRating['flags'];
};

export function unitsText(units: LedgerUnits): string {
  return toText(scaled(units, AMOUNT_PLACES));
}

export function encodeLine(
  meter: string,
  bucket: string,
  quantity: Decimal,
  before: Decimal,
  after: Decimal,
  units: LedgerUnits,
  shares: readonly Share[],
  absorbed: RatedLine['absorbed'],
): string {
  let text = `[${writeString(meter)},${writeString(bucket)},"${toText(quantity)}","${toText(before)}",`;
  text += isSum(before, quantity, after) ? 'null' : `"${toText(after)}"`;
  const amount = unitsText(units);
  text += `,"${amount}",[`;
  const [first] = shares;
  if (shares.length === 1 && first !== undefined) text += `[${first.accountId},"${amount}"]`;
  else text += shares.map((share) => `[${share.accountId},"${unitsText(share.units)}"]`).join(',');
  return absorbed === undefined ? `${text}]]` : `${text}],"${absorbed}"]`;
}

function isSum(before: Decimal, quantity: Decimal, after: Decimal): boolean {
  if (before.scale === quantity.scale && after.scale === before.scale)
    return before.coefficient + quantity.coefficient === after.coefficient;
  const sum = add(before, quantity);
  return sum.scale === after.scale && sum.coefficient === after.coefficient;
}

export type RatingParts = {
  readonly customer: number | null;
  readonly quantities: string;
  readonly quality: string | null;
  readonly version: number | null;
  readonly period: string | null;
  readonly currency: string | null;
  readonly lines: string;
  readonly cost: readonly [string, string] | null;
  readonly unrated: EventRating['unrated'];
  readonly flags: EventRating['flags'];
};

export function encodeRating(parts: RatingParts): string {
  let text = `{"c":${parts.customer},"q":[${parts.quantities}]`;
  if (parts.quality !== null) text += `,"k":"${parts.quality}"`;
  if (parts.version !== null) text += `,"v":${parts.version}`;
  if (parts.period !== null) text += `,"p":"${parts.period}"`;
  if (parts.currency !== null) text += `,"y":"${parts.currency}"`;
  if (parts.lines !== '') text += `,"l":[${parts.lines}]`;
  if (parts.cost !== null) text += `,"o":["${parts.cost[0]}",${writeString(parts.cost[1])}]`;
  if (parts.unrated.length > 0) text += `,"u":${JSON.stringify(parts.unrated)}`;
  if (parts.flags.length > 0) text += `,"f":${JSON.stringify(parts.flags)}`;
  return `${text}}`;
}

/** The text is our own, so its shape is trusted. */
export function decodeRating(text: string): EventRating {
  const stored = JSON.parse(text) as StoredRating;
  return {
    customer: stored.c,
    quantities: stored.q,
    quality: stored.k ?? null,
    version: stored.v ?? null,
    period: stored.p ?? null,
    currency: stored.y ?? null,
    lines: (stored.l ?? []).map(decodeLine),
    cost: stored.o ?? null,
    unrated: stored.u ?? [],
    flags: stored.f ?? [],
  };
}

function decodeLine([meter, bucket, quantity, before, after, amount, shares, absorbed]: StoredLine): RatedLine {
  return {
    meter,
    bucket,
    quantity,
    before,
    after: after ?? toText(add(decimal(before), decimal(quantity))),
    amount,
    shares,
    ...(absorbed !== undefined && { absorbed }),
  };
}
