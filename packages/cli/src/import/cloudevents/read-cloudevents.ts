import type { ImportItem } from '../item.ts';
import { type Line, readLines } from '../read-lines.ts';
import { readJsonArray } from './read-json-array.ts';

export type CloudEventsOptions = {
  /** Shown in messages. */
  readonly name: string;
  /** The customer of events that name none. */
  readonly customer: string | undefined;
  /** The source of events that name none. */
  readonly source: string;
};

/**
 * Events from NDJSON (one event a line) or from a JSON array, told apart by the first character. An event is sent as it
 * is written, every digit of it; only a missing `subject` or `source` is put in front, and one that is null behind.
 */
export async function* readCloudEvents(
  chunks: AsyncIterable<Uint8Array>,
  options: CloudEventsOptions,
): AsyncGenerator<ImportItem> {
  const { isArray, all } = await peek(chunks);
  const records: AsyncIterable<Line> = isArray ? readJsonArray(all) : readLines(all);
  for await (const record of records) {
    const place = `${options.name}:${record.number}`;
    yield record.ok ? toItem(record.text, place, options) : { kind: 'problem', place, detail: record.detail };
  }
}

function toItem(text: string, place: string, options: CloudEventsOptions): ImportItem {
  let event: unknown;
  try {
    event = JSON.parse(text);
  } catch (error) {
    return { kind: 'problem', place, detail: `not JSON: ${error instanceof Error ? error.message : String(error)}` };
  }
  if (typeof event !== 'object' || event === null || Array.isArray(event)) {
    return { kind: 'problem', place, detail: 'not a JSON object; an event is one, with id, source, type and data' };
  }
  const members: Readonly<Record<string, unknown>> = { ...event };
  if (typeof members['id'] !== 'string' || members['id'] === '') {
    return {
      kind: 'problem',
      place,
      detail: 'the event has no id; without one a repeated import would count it twice',
    };
  }
  let line = oneLine(text);
  for (const [name, value] of [
    ['source', options.source],
    ['subject', options.customer],
  ] as const) {
    if (value !== undefined && (members[name] ?? null) === null) line = withMember(line, name, value, name in members);
  }
  const source = typeof members['source'] === 'string' ? members['source'] : options.source;
  return { kind: 'event', source, id: members['id'], line, place };
}

/** Line breaks stand only between tokens in JSON, so a space may stand there as well. */
function oneLine(text: string): string {
  return text.trim().replace(/[\r\n]+/g, ' ');
}

/** Of two members of one name the last holds, so a null is overruled from behind. */
function withMember(text: string, name: string, value: string, isNull: boolean): string {
  const member = `${JSON.stringify(name)}:${JSON.stringify(value)}`;
  return isNull ? `${text.slice(0, -1)},${member}}` : `{${member},${text.slice(1)}`;
}

async function peek(chunks: AsyncIterable<Uint8Array>): Promise<{ isArray: boolean; all: AsyncIterable<Uint8Array> }> {
  const iterator = chunks[Symbol.asyncIterator]();
  const held: Uint8Array[] = [];
  let first: string | undefined;
  while (first === undefined) {
    const next = await iterator.next();
    if (next.done === true) break;
    held.push(next.value);
    first = new TextDecoder()
      .decode(next.value)
      .replace(/^\uFEFF/, '')
      .trimStart()[0];
  }
  async function* all(): AsyncGenerator<Uint8Array> {
    yield* held;
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value;
  }
  return { isArray: first === '[', all: all() };
}
