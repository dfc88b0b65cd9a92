import { LINE_BYTES_MAX } from '../read-lines.ts';

/** One element of a JSON array as it is written in the file; `number` counts from 1. */
export type ArrayElement =
  | { readonly ok: true; readonly number: number; readonly text: string }
  | { readonly ok: false; readonly number: number; readonly detail: string };

/**
 * The elements of a JSON array of any length, one at a time, as their text: numbers keep every digit. It looks only at
 * quotes, brackets and commas; whether an element is JSON is for its reader to find out.
 */
export async function* readJsonArray(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<ArrayElement> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let depth = 0;
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
        if (depth === 0) return;
      }
    }
    if (depth > 0 && element.length <= LINE_BYTES_MAX) element += text.slice(start);
  }
  if (element.trim() !== '') yield { ok: false, number: number + 1, detail: 'the file ends inside this element' };
}
