import { findHostileText } from './hostile-text.ts';
import { type ProblemError, refuse } from './problem.ts';

/** The body, or a problem as soon as it passes `bytesMax`: never more than that is held. `onBytes` hears of each piece. */
export async function readBounded(
  request: Request,
  bytesMax: number,
  onBytes?: (bytes: number) => void,
): Promise<Buffer> {
  if (request.method === 'GET' || request.method === 'HEAD') return Buffer.alloc(0);
  const announced = request.headers.get('content-length');
  if (announced !== null && Number(announced) > bytesMax) throw tooLarge(bytesMax);
  if (announced !== null && onBytes === undefined) {
    // HTTP ends a body at its announced length. Read at once, it needs no stream, which would cost more than reading it.
    const body = Buffer.from(await request.arrayBuffer());
    if (body.length > bytesMax) throw tooLarge(bytesMax);
    return body;
  }
  if (request.body === null) return Buffer.alloc(0);
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request.body) {
    length += chunk.length;
    if (length > bytesMax) throw tooLarge(bytesMax);
    onBytes?.(chunk.length);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length);
}

function tooLarge(bytesMax: number): ProblemError {
  return refuse('body_too_large', `the body is larger than ${bytesMax} bytes`);
}

const decoder = new TextDecoder('utf-8', { fatal: true });

/** The JSON value of a body, checked for what no schema should have to think about; `undefined` for an empty body. */
export function parseJson(body: Buffer, contentType: string | null): unknown {
  if (body.length === 0) return undefined;
  const media = (contentType ?? 'application/json').split(';', 1)[0]?.trim().toLowerCase() ?? '';
  if (media !== 'application/json' && !/^application\/[\w.-]+\+json$/.test(media)) {
    throw refuse('unsupported_media_type', 'Content-Type must be application/json');
  }
  let text: string;
  try {
    text = decoder.decode(body);
  } catch {
    throw refuse('undecodable_body', 'the body is not valid UTF-8');
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const detail = error instanceof Error ? error.message.slice(0, 200) : 'unreadable';
    throw refuse('malformed_json', `the body is not JSON: ${detail}`);
  }
  const hostile = findHostileText(value);
  if (hostile !== undefined) throw refuse('invalid_request', 'the body holds what cannot be stored', [hostile]);
  return value;
}
