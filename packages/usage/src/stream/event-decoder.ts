/** Events that carry usage are short, but an image or a whole answer in one document is not. */
const EVENT_LENGTH_MAX = 32 * 1024 * 1024;

/** Turns text cut anywhere into parsed events. An event may be emitted twice, which cumulative usage does not mind. */
export type EventDecoder = {
  readonly add: (text: string) => void;
  /** Emits what stands after the last line break, keeping it in case more text follows, and tells how the stream went. */
  readonly end: () => { readonly isDone: boolean; readonly isTooLong: boolean };
};

/**
 * Decodes server-sent events, newline-delimited JSON and single JSON documents (which Gemini streams as one array over
 * many lines). What is not JSON is passed over: it is not usage.
 */
export function createEventDecoder(emit: (event: unknown) => void): EventDecoder {
  /** The line that has begun, the data lines of the event that has begun, the lines of a document. */
  const line = new Pieces();
  const data = new Pieces();
  const document = new Pieces();
  let isDone = false;

  function add(text: string): void {
    let from = 0;
    for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', from)) {
      line.add(text.slice(from, at));
      takeLine(line.take('').trimEnd());
      from = at + 1;
    }
    if (from < text.length) line.add(text.slice(from));
  }

  function takeLine(text: string): void {
    if (text === '') emitData(data.take('\n'));
    else if (text === 'data: [DONE]' || text === 'data:[DONE]') isDone = true;
    else if (text.startsWith('data:')) data.add(text.slice(5).trimStart());
    // A line that is a value of its own is an event; otherwise it is part of a document that ends with the stream.
    else if (!FIELD.test(text) && !(document.isEmpty() && text.startsWith('{') && emitJson(text))) document.add(text);
  }

  /** Some servers leave out the empty line between events, so lines that are no event together may be events apart. */
  function emitData(text: string): void {
    if (text !== '' && !emitJson(text)) for (const one of text.split('\n')) emitJson(one);
  }

  function emitJson(text: string): boolean {
    let event: unknown;
    try {
      event = JSON.parse(text);
    } catch {
      return false;
    }
    emit(event);
    return true;
  }

  function end(): { isDone: boolean; isTooLong: boolean } {
    const rest = line.join('').trim();
    if (rest.startsWith('data:')) {
      const last = rest.slice(5).trimStart();
      if (last === '[DONE]') isDone = true;
      emitData(data.isEmpty() ? last : `${data.join('\n')}\n${last}`);
    } else if (!data.isEmpty()) {
      emitData(data.join('\n'));
    } else if (rest !== '' || !document.isEmpty()) {
      emitJson(`${document.join('\n')}\n${rest}`);
    }
    return { isDone, isTooLong: line.isTooLong || data.isTooLong || document.isTooLong };
  }
  return { add, end };
}

/** Fields of a server-sent event other than its data, and comments. */
const FIELD = /^(?:event|id|retry)?:/;

/** Text in pieces up to a limit; past it, the whole is given up and remembered as too long. */
class Pieces {
  #pieces: string[] = [];
  #length = 0;
  isTooLong = false;

  add(piece: string): void {
    this.#length += piece.length;
    if (this.#length <= EVENT_LENGTH_MAX) {
      this.#pieces.push(piece);
      return;
    }
    this.isTooLong = true;
    this.#pieces = [];
  }

  isEmpty(): boolean {
    return this.#length === 0;
  }

  join(separator: string): string {
    return this.#pieces.join(separator);
  }

  take(separator: string): string {
    const text = this.join(separator);
    this.#pieces = [];
    this.#length = 0;
    return text;
  }
}
