import { promisify } from 'node:util';
import { gunzip, zstdDecompress } from 'node:zlib';
import { LIMITS } from '../limits.ts';
import { parseJsonExact } from '../event/canonical.ts';

/** A body that cannot be read at all; nothing in it was taken. */
export type BodyProblem = {
  readonly code:
    | 'unsupported_encoding'
    | 'undecodable_body'
    | 'body_too_large'
    | 'unsupported_media_type'
    | 'malformed_json'
    | 'too_many_events'
    | 'no_events';
  readonly status: 400 | 413 | 415;
  readonly detail: string;
};

/** One line or element: parsed, or the reason why it is no JSON. */
export type BodyItem = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly detail: string };

export type ParsedBody =
  | { readonly ok: true; readonly items: readonly BodyItem[] }
  | { readonly ok: false; readonly problem: BodyProblem };

const decompressGzip = promisify(gunzip);
const decompressZstd = promisify(zstdDecompress);

/** Undoes `Content-Encoding`, never past the size limit: a bomb stops at the limit, not at the end of memory. */
export async function decodeBody(body: Buffer, encoding: string | undefined): Promise<Buffer | BodyProblem> {
  const name = encoding?.trim().toLowerCase() ?? '';
  if (name === '' || name === 'identity') return body.length > LIMITS.bodyBytesMax ? bodyTooLarge() : body;
  if (name !== 'gzip' && name !== 'zstd') {
    return { code: 'unsupported_encoding', status: 415, detail: 'Content-Encoding must be gzip, zstd or absent' };
  }
  try {
    const options = { maxOutputLength: LIMITS.bodyBytesMax };
    return name === 'gzip' ? await decompressGzip(body, options) : await decompressZstd(body, options);
  } catch (error) {
    if (
      error instanceof RangeError ||
      (error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE')
    ) {
      return bodyTooLarge();
    }
    return { code: 'undecodable_body', status: 400, detail: `the body is not valid ${name}` };
  }
}

function bodyTooLarge(): BodyProblem {
  return {
    code: 'body_too_large',
    status: 413,
    detail: `the body is larger than ${LIMITS.bodyBytesMax} bytes; send smaller batches`,
  };
}

const decoder = new TextDecoder('utf-8', { fatal: true });

/** Reads the events of a decoded body, in the form its media type names. */
export function parseBody(body: Buffer, contentType: string | undefined): ParsedBody {
  const media = (contentType ?? 'application/json').split(';', 1)[0]?.trim().toLowerCase() ?? '';
  let text: string;
  try {
    text = decoder.decode(body);
  } catch {
    return refuse({ code: 'undecodable_body', status: 400, detail: 'the body is not valid UTF-8' });
  }
  switch (media) {
    case '':
    case 'application/json':
    case 'application/cloudevents+json':
    case 'application/cloudevents-batch+json':
      return parseDocument(text);
    case 'application/x-ndjson':
    case 'application/ndjson':
    case 'application/jsonl':
      return parseLines(text);
    default:
      return refuse({
        code: 'unsupported_media_type',
        status: 415,
        detail:
          'Content-Type must be application/json, application/cloudevents+json, application/cloudevents-batch+json or application/x-ndjson',
      });
  }
}

function parseDocument(text: string): ParsedBody {
  let value: unknown;
  try {
    value = parseJsonExact(text);
  } catch (error) {
    const detail = error instanceof Error ? error.message.slice(0, 200) : 'unreadable';
    return refuse({ code: 'malformed_json', status: 400, detail: `the body is not JSON: ${detail}` });
  }
  const values: readonly unknown[] = Array.isArray(value) ? value : [value];
  return bounded(values.map((item) => ({ ok: true, value: item })));
}

function parseLines(text: string): ParsedBody {
  const items: BodyItem[] = [];
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue;
    if (items.length > LIMITS.eventsMax) break;
    try {
      items.push({ ok: true, value: parseJsonExact(line) });
    } catch (error) {
      items.push({
        ok: false,
        detail: `the line is not JSON: ${error instanceof Error ? error.message.slice(0, 200) : 'unreadable'}`,
      });
    }
  }
  return bounded(items);
}

function bounded(items: readonly BodyItem[]): ParsedBody {
  if (items.length === 0) return refuse({ code: 'no_events', status: 400, detail: 'the body holds no event' });
  if (items.length > LIMITS.eventsMax) {
    return refuse({
      code: 'too_many_events',
      status: 413,
      detail: `at most ${LIMITS.eventsMax} events a request; send smaller batches`,
    });
  }
  return { ok: true, items };
}

function refuse(problem: BodyProblem): ParsedBody {
  return { ok: false, problem };
}
