import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import type { EventRating, RatedLine } from './types.ts';

/**
 * Raw events and their ratings are stored a transaction at a time: one row, two compressed texts with one line an event.
 * Canonical JSON has no line breaks, so the line number is the event's position; an empty line is an event of the claim that
 * was no fresh one.
 */
const COMPRESSION = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

/** Larger than any block a transaction can write (LIMITS.groupEventsMax events of LIMITS.eventBytesMax). */
const BLOCK_BYTES_MAX = 1024 * 1024 * 1024;

export function packLines(lines: readonly string[]): Buffer {
  return zstdCompressSync(lines.join('\n'), COMPRESSION);
}

export function unpackLines(packed: Buffer): string[] {
  return zstdDecompressSync(packed, { maxOutputLength: BLOCK_BYTES_MAX }).toString('utf8').split('\n');
}

type StoredLine = readonly [
  meter: string,
  bucket: string,
  quantity: string,
  before: string,
  after: string,
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

export function encodeRating(rating: EventRating): string {
  const stored: StoredRating = {
    c: rating.customer,
    q: rating.quantities,
    ...(rating.quality !== null && { k: rating.quality }),
    ...(rating.version !== null && { v: rating.version }),
    ...(rating.period !== null && { p: rating.period }),
    ...(rating.currency !== null && { y: rating.currency }),
    ...(rating.lines.length > 0 && { l: rating.lines.map(storedLine) }),
    ...(rating.cost !== null && { o: rating.cost }),
    ...(rating.unrated.length > 0 && { u: rating.unrated }),
    ...(rating.flags.length > 0 && { f: rating.flags }),
  };
  return JSON.stringify(stored);
}

function storedLine(line: RatedLine): StoredLine {
  const { meter, bucket, quantity, before, after, amount, shares, absorbed } = line;
  return absorbed === undefined
    ? [meter, bucket, quantity, before, after, amount, shares]
    : [meter, bucket, quantity, before, after, amount, shares, absorbed];
}

/** The inverse of {@link encodeRating}; the text is our own, so its shape is trusted. */
export function decodeRating(text: string): EventRating {
  const stored = JSON.parse(text) as StoredRating;
  return {
    customer: stored.c,
    quantities: stored.q,
    quality: stored.k ?? null,
    version: stored.v ?? null,
    period: stored.p ?? null,
    currency: stored.y ?? null,
    lines: (stored.l ?? []).map(([meter, bucket, quantity, before, after, amount, shares, absorbed]) => ({
      meter,
      bucket,
      quantity,
      before,
      after,
      amount,
      shares,
      ...(absorbed !== undefined && { absorbed }),
    })),
    cost: stored.o ?? null,
    unrated: stored.u ?? [],
    flags: stored.f ?? [],
  };
}
