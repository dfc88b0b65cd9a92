import { createHash } from 'node:crypto';
import { createReadStream, openSync, readSync, closeSync, statSync } from 'node:fs';
import { Readable, Transform } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { CliError } from '../cli-error.ts';
import { EXIT_CODE } from '../exit-code.ts';

/** A file as it lay there when the import began. */
export type InputFile = { readonly path: string; readonly bytes: number; readonly modifiedMs: number };

/** Most bytes that the fingerprint reads from the start of a file. */
const FINGERPRINT_BYTES = 64 * 1024;

export function inspectFile(path: string): InputFile {
  try {
    const stat = statSync(path);
    if (!stat.isFile()) {
      throw new CliError(EXIT_CODE.usage, `${path} is not a file`, 'Name the files to import one by one.');
    }
    return { path, bytes: stat.size, modifiedMs: Math.floor(stat.mtimeMs) };
  } catch (error) {
    if (error instanceof CliError) throw error;
    const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new CliError(EXIT_CODE.usage, `cannot read ${path}: ${reason}`, 'Check the path and its permissions.');
  }
}

/** Tells one state of a file from another: its size, its time of change and how it begins. */
export function fingerprint(file: InputFile): string {
  const hash = createHash('sha256').update(`${file.bytes}\n${file.modifiedMs}\n`);
  return hash.update(firstBytes(file.path, FINGERPRINT_BYTES)).digest('hex');
}

/** Compressions recognised by how the content begins, whatever the file is called. */
type Compression = 'none' | 'gzip' | 'zstd';

function compressionOf(head: Uint8Array): Compression {
  if (head[0] === 0x1f && head[1] === 0x8b) return 'gzip';
  if (head[0] === 0x28 && head[1] === 0xb5 && head[2] === 0x2f && head[3] === 0xfd) return 'zstd';
  return 'none';
}

/**
 * The decompressed content of a file as chunks of bytes.
 *
 * @param onBytes told of the bytes read from disk, compressed, for the progress bar
 */
export function openInput(file: InputFile, onBytes: (count: number) => void): AsyncIterable<Uint8Array> {
  const raw = createReadStream(file.path, { highWaterMark: 256 * 1024 });
  return decompressed(raw, compressionOf(firstBytes(file.path, 4)), onBytes);
}

/** The decompressed content of standard input. */
export async function* openStream(
  input: AsyncIterable<Uint8Array>,
  onBytes: (count: number) => void,
): AsyncGenerator<Uint8Array> {
  const chunks = input[Symbol.asyncIterator]();
  const first = await chunks.next();
  if (first.done === true) return;
  async function* all(): AsyncGenerator<Uint8Array> {
    yield first.value;
    for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) yield next.value;
  }
  yield* decompressed(Readable.from(all(), { objectMode: false }), compressionOf(first.value), onBytes);
}

function decompressed(raw: Readable, compression: Compression, onBytes: (count: number) => void): Readable {
  const counter = new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      onBytes(chunk.length);
      done(null, chunk);
    },
  });
  raw.on('error', (error) => counter.destroy(error));
  const counted = raw.pipe(counter);
  if (compression === 'none') return counted;
  const inflate = compression === 'gzip' ? createGunzip() : createZstdDecompress();
  counted.on('error', (error) => inflate.destroy(error));
  return counted.pipe(inflate);
}

function firstBytes(path: string, count: number): Uint8Array {
  const buffer = new Uint8Array(count);
  const descriptor = openSync(path, 'r');
  try {
    return buffer.subarray(0, readSync(descriptor, buffer, 0, count, 0));
  } finally {
    closeSync(descriptor);
  }
}
