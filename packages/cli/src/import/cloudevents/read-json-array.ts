import { LINE_BYTES_MAX } from '../read-lines.ts';

/** One element of a JSON array as it is written in the file; `number` counts from 1. */
export type ArrayElement =
  | { readonly ok: true; readonly number: number; readonly text: string }
  | { readonly ok: false; readonly number: number; readonly detail: string };

const SPACES: ReadonlySet<number> = new Set([0x20, 0x09, 0x0a, 0x0d]);

/**
 * The elements of a JSON array of any length, one at a time, as their text: numbers keep every digit. It looks only at
 * quotes, brackets and commas; whether an element is JSON is for its reader to find out.
 */
export async function* readJsonArray(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<ArrayElement> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let depth = 0;
  let isClosed = false;
  let isString = false;
  let isEscaped = false;
  let number = 0;
  let element = '';
  const finish = (): ArrayElement | undefined => {
    const text = element.trim();
    element = '';
    if (text === '') return undefined;
    number += 1;
    if (text.length > LINE_BYTES_MAX) return { ok: false, number, detail: 'the element is too long to be an event' };
    return { ok: true, number, text };
  };
  for await (const chunk of chunks) {
    const text = decoder.decode(chunk, { stream: true });
    let start = depth > 0 ? 0 : text.length;
    for (let at = 0; at < text.length; at += 1) {
      const character = text.charCodeAt(at);
      if (isClosed) {
        if (SPACES.has(character)) continue;
        // What another array holds must not be lost in silence.
        yield {
          ok: false,
          number: number + 1,
          detail: 'the file goes on after its array; send one array, or one event a line',
        };
        return;
      }
      if (isString) {
        if (isEscaped) isEscaped = false;
        else if (character === 0x5c) isEscaped = true;
        else if (character === 0x22) isString = false;
      } else if (character === 0x22) {
        isString = true;
      } else if (character === 0x5b || character === 0x7b) {
        depth += 1;
        if (depth === 1) start = at + 1;
      } else if (character === 0x5d || character === 0x7d || character === 0x2c) {
        if (character !== 0x2c) depth -= 1;
        const isBoundary = character === 0x2c ? depth === 1 : depth === 0;
        if (!isBoundary) continue;
        if (element.length <= LINE_BYTES_MAX) element += text.slice(start, at);
        start = at + 1;
        const found = finish();
        if (found !== undefined) yield found;
        if (depth === 0) isClosed = true;
      }
    }
    if (depth > 0 && element.length <= LINE_BYTES_MAX) element += text.slice(start);
  }
  if (isClosed) return;
  const detail = element.trim() === '' ? 'the file ends before its array does' : 'the file ends inside this element';
  yield { ok: false, number: number + 1, detail };
}
