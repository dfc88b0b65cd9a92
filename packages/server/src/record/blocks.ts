import { promisify } from 'node:util';
import { constants, zstdCompress, zstdDecompressSync } from 'node:zlib';

const compress = promisify(zstdCompress);

/**
 * Raw events and their ratings are stored a transaction at a time: one row, two compressed texts with one line an event.
 * Canonical JSON has no line breaks, so the line number is the event's position; an empty line is an event of the claim that
 * was no fresh one.
 */
const COMPRESSION = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

/** Larger than any block a transaction can write (LIMITS.groupEventsMax events of LIMITS.eventBytesMax). */
const BLOCK_BYTES_MAX = 1024 * 1024 * 1024;

/** Some ten times what is packed comes out: pieces so large that most blocks are few of them. */
const DECOMPRESSION = { maxOutputLength: BLOCK_BYTES_MAX, chunkSize: 1024 * 1024 };

/** Compresses on another thread: the event loop has better things to do. */
export function packLines(text: Buffer): Promise<Buffer> {
  return compress(text, COMPRESSION);
}

export function unpackLines(packed: Uint8Array): string[] {
  return zstdDecompressSync(packed, DECOMPRESSION).toString('utf8').split('\n');
}
