/** A chat or message kept as one JSON document is read whole, so it must not fill the memory. */
const DOCUMENT_BYTES_MAX = 64 * 1024 * 1024;

export type LogDocument =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly detail: string };

/** The whole text of a document of bounded size. */
export async function readDocument(chunks: AsyncIterable<Uint8Array>): Promise<LogDocument> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.length;
    if (bytes > DOCUMENT_BYTES_MAX) {
      return { ok: false, detail: `the document is longer than ${DOCUMENT_BYTES_MAX} bytes` };
    }
    pieces.push(chunk);
  }
  return { ok: true, text: Buffer.concat(pieces).toString('utf8') };
}
