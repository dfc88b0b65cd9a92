import { AMOUNT_PLACES, add, type Decimal, decimal, toText } from '@ergon/exact';
import type { ByteWriter } from '../event/byte-writer.ts';
import type { LedgerUnits, Share } from '../ledger/burn.ts';
import { decodeWork, type StoredWork, writeWork } from './encode-work.ts';
import type { EventRating, RatedLine, RecordedModel } from './types.ts';

/**
 * Ratings are stored as compact JSON, one line an event; `decodeRating` is the inverse of what is written here.
 *
 * {"c":customer,"t":receipt where no time was sent,"q":[[meter,quantity]...],"k":quality,"m":[model,family],"v":version,"p":period,"y":currency,
 *  "l":[[meter,bucket,quantity,before,after or null when before + quantity,amount,[[account,amount]...],absorbed]...],
 *  "o":[cost,source],"u":[[meter,quantity,reason]...],"f":[[code,detail]...],
 *  "w":how its work was counted: convention n, model's hash m, basis b, basis of time t, deployment d, its version v, accelerator a,
 *   prompt length x; or u, why it was not}
 */
type StoredLine = readonly [
  meter: string,
  bucket: string,
  quantity: string,
  before: string,
  after: string | null,
  amount: string,
  /** [account or null, amount]; the amount is left out where one account bears all of it. */
  shares: readonly (readonly [account: number | null, amount?: string])[],
  absorbed?: 'failed_call' | 'retry',
];

type StoredRating = {
  readonly c: number | null;
  readonly t?: number;
  readonly q: EventRating['quantities'];
  readonly k?: string;
  readonly m?: readonly [canonical: string, family?: string];
  readonly v?: number;
  readonly p?: string;
  readonly y?: string;
  readonly l?: readonly StoredLine[];
  readonly o?: readonly [string, string];
  readonly u?: EventRating['unrated'];
  readonly f?: readonly (readonly [code: string, detail: string])[];
  readonly w?: StoredWork;
};

/** One rated line before it is written. */
export type LineParts = {
  readonly meter: string;
  readonly bucket: string;
  readonly quantity: Decimal;
  readonly before: Decimal;
  readonly after: Decimal;
  readonly units: LedgerUnits;
  readonly shares: readonly Share[];
  readonly absorbed: RatedLine['absorbed'];
};

export function writeLine(writer: ByteWriter, line: LineParts): void {
  writer.ascii('[');
  writer.string(line.meter);
  writer.ascii(',');
  writer.string(line.bucket);
  writer.ascii(',"');
  writer.decimal(line.quantity);
  writer.ascii('","');
  writer.decimal(line.before);
  if (isSum(line)) {
    writer.ascii('",null,"');
  } else {
    writer.ascii('","');
    writer.decimal(line.after);
    writer.ascii('","');
  }
  writer.scaled(line.units, AMOUNT_PLACES);
  writer.ascii('",[');
  const [only] = line.shares;
  if (line.shares.length === 1 && only !== undefined) {
    // One bearer of the whole amount, the usual case: its share goes without saying.
    if (only.accountId === null) writer.ascii('[null]');
    else {
      writer.ascii('[');
      writer.number(only.accountId);
      writer.ascii(']');
    }
  } else writeShares(writer, line.shares);
  writer.ascii(']');
  if (line.absorbed !== undefined) writer.ascii(line.absorbed === 'retry' ? ',"retry"' : ',"failed_call"');
  writer.ascii(']');
}

function writeShares(writer: ByteWriter, shares: readonly Share[]): void {
  let separator = '[';
  for (const share of shares) {
    writer.ascii(separator);
    if (share.accountId === null) writer.ascii('null');
    else writer.number(share.accountId);
    writer.ascii(',"');
    writer.scaled(share.units, AMOUNT_PLACES);
    writer.ascii('"]');
    separator = ',[';
  }
}

function isSum({ before, quantity, after }: LineParts): boolean {
  if (before.scale === quantity.scale && after.scale === before.scale) {
    return before.coefficient + quantity.coefficient === after.coefficient;
  }
  const sum = add(before, quantity);
  return sum.scale === after.scale && sum.coefficient === after.coefficient;
}

export type RatingParts = {
  readonly customer: number | null;
  readonly filledTime: number | null;
  readonly quantities: readonly { readonly meter: string; readonly quantity: Decimal }[];
  /** Custom meters: what the event gave, as text. */
  readonly contributions: readonly (readonly [meter: string, value: string])[];
  readonly quality: string | null;
  readonly model: RecordedModel | undefined;
  readonly version: number | null;
  readonly period: string | null;
  readonly currency: string | null;
  /** As {@link writeLine} wrote them, comma-separated. */
  readonly lines: Uint8Array;
  readonly cost: { readonly amount: Decimal; readonly source: string } | undefined;
  readonly unrated: EventRating['unrated'];
  readonly flags: EventRating['flags'];
  readonly work: EventRating['work'];
};

export function writeRating(writer: ByteWriter, parts: RatingParts): void {
  writer.ascii('{"c":');
  if (parts.customer === null) writer.ascii('null');
  else writer.number(parts.customer);
  if (parts.filledTime !== null) {
    writer.ascii(',"t":');
    writer.number(parts.filledTime);
  }
  writer.ascii(',"q":[');
  let separator = '["';
  for (const { meter, quantity } of parts.quantities) {
    writer.ascii(separator);
    writer.ascii(meter);
    writer.ascii('","');
    writer.decimal(quantity);
    writer.ascii('"]');
    separator = ',["';
  }
  for (const [meter, value] of parts.contributions) {
    writer.ascii(separator.slice(0, -1));
    writer.string(meter);
    writer.ascii(',');
    writer.string(value);
    writer.ascii(']');
    separator = ',["';
  }
  writer.ascii(']');
  member(writer, ',"k":', parts.quality);
  if (parts.model !== undefined) writeModel(writer, parts.model);
  if (parts.version !== null) {
    writer.ascii(',"v":');
    writer.number(parts.version);
  }
  member(writer, ',"p":', parts.period);
  member(writer, ',"y":', parts.currency);
  if (parts.lines.length > 0) {
    writer.ascii(',"l":[');
    writer.bytes(parts.lines);
    writer.ascii(']');
  }
  if (parts.cost !== undefined) {
    writer.ascii(',"o":["');
    writer.decimal(parts.cost.amount);
    writer.ascii('",');
    writer.string(parts.cost.source);
    writer.ascii(']');
  }
  if (parts.unrated.length > 0) writeRows(writer, ',"u":', parts.unrated);
  if (parts.flags.length > 0) {
    const rows = parts.flags.map(({ code, detail }) => [code, detail]);
    writeRows(writer, ',"f":', rows);
  }
  if (parts.work !== undefined) writeWork(writer, parts.work);
  writer.ascii('}');
}

function writeModel(writer: ByteWriter, { canonical, family }: RecordedModel): void {
  writer.ascii(',"m":[');
  writer.string(canonical);
  if (family !== undefined) {
    writer.ascii(',');
    writer.string(family);
  }
  writer.ascii(']');
}

function member(writer: ByteWriter, name: string, value: string | null): void {
  if (value === null) return;
  writer.ascii(name);
  writer.string(value);
}

function writeRows(writer: ByteWriter, name: string, rows: readonly (readonly string[])[]): void {
  writer.ascii(name);
  rows.forEach((row, index) => {
    writer.ascii(index === 0 ? '[[' : ',[');
    row.forEach((value, position) => {
      if (position > 0) writer.ascii(',');
      writer.string(value);
    });
    writer.ascii(']');
  });
  writer.ascii(']');
}

/** Lines as {@link writeLine} wrote them, read back. */
export function decodeLines(lines: Uint8Array): readonly RatedLine[] {
  return (JSON.parse(`[${Buffer.from(lines).toString('utf8')}]`) as StoredLine[]).map(decodeLine);
}

/** The text is our own, so its shape is trusted. */
export function decodeRating(text: string): EventRating {
  const stored = JSON.parse(text) as StoredRating;
  return {
    customer: stored.c,
    filledTime: stored.t ?? null,
    quantities: stored.q,
    quality: stored.k ?? null,
    model: stored.m === undefined ? null : decodeModel(stored.m),
    version: stored.v ?? null,
    period: stored.p ?? null,
    currency: stored.y ?? null,
    lines: (stored.l ?? []).map(decodeLine),
    cost: stored.o ?? null,
    unrated: stored.u ?? [],
    flags: (stored.f ?? []).map(([code, detail]) => ({ code, detail })),
    work: stored.w === undefined ? undefined : decodeWork(stored.w),
  };
}

function decodeModel([canonical, family]: NonNullable<StoredRating['m']>): RecordedModel {
  return family === undefined ? { canonical } : { canonical, family };
}

function decodeLine([meter, bucket, quantity, before, after, amount, shares, absorbed]: StoredLine): RatedLine {
  return {
    meter,
    bucket,
    quantity,
    before,
    after: after ?? toText(add(decimal(before), decimal(quantity))),
    amount,
    shares: shares.map(([account, share]) => [account, share ?? amount] as const),
    ...(absorbed !== undefined && { absorbed }),
  };
}
