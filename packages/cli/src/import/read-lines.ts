/** A longer line is no event (the server takes 64 KiB) and must not fill the memory either. */
export const LINE_BYTES_MAX = 8 * 1024 * 1024;

export type Line =
  | { readonly ok: true; readonly number: number; readonly text: string }
  | { readonly ok: false; readonly number: number; readonly detail: string };

const NEWLINE = 0x0a;

/**
 * Splits bytes into lines (LF or CRLF; a byte order mark is dropped), numbered from 1. Empty lines are numbered but not
 * yielded. A line that is too long or not UTF-8 is yielded as such and does not disturb the next one.
 */
export async function* readLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Line> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let number = 0;
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  const finish = (): Line | undefined => {
    number += 1;
    const tooLong = pendingBytes > LINE_BYTES_MAX;
    const parts = pending;
    pending = [];
    pendingBytes = 0;
    if (tooLong) return { ok: false, number, detail: `the line is longer than ${LINE_BYTES_MAX} bytes` };
    try {
      const text = decoder.decode(parts.length === 1 ? parts[0] : Buffer.concat(parts)).replace(/\r$/, '');
      return text.trim() === '' ? undefined : { ok: true, number, text };
    } catch {
      return { ok: false, number, detail: 'the line is not valid UTF-8' };
    }
  };
  const keep = (part: Uint8Array): void => {
    pendingBytes += part.length;
    if (pendingBytes <= LINE_BYTES_MAX) pending.push(part);
    else pending = [];
  };
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      keep(chunk.subarray(start, end));
      start = end + 1;
      const line = finish();
      if (line !== undefined) yield line;
    }
    if (start < chunk.length) keep(chunk.subarray(start));
  }
  if (pendingBytes > 0) {
    const line = finish();
    if (line !== undefined) yield line;
  }
}
