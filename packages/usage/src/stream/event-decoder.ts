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
  let pending: string[] = [];
  let pendingLength = 0;
  let data: string[] = [];
  let dataLength = 0;
  let document: string[] = [];
  let documentLength = 0;
  let isDone = false;
  let isTooLong = false;

  function add(text: string): void {
    let from = 0;
    for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', from)) {
      keep(text.slice(from, at));
      takeLine();
      from = at + 1;
    }
    if (from < text.length) keep(text.slice(from));
  }

  function keep(piece: string): void {
    pendingLength += piece.length;
    if (pendingLength <= EVENT_LENGTH_MAX) pending.push(piece);
    else isTooLong = true;
  }

  function takeLine(): void {
    const line = pendingLength <= EVENT_LENGTH_MAX ? pending.join('').trimEnd() : '';
    pending = [];
    pendingLength = 0;
    if (line === '') dispatch();
    else if (line.startsWith('data:')) takeData(line.slice(5).trimStart());
    else if (/^(?:event|id|retry)?:/.test(line)) return;
    else takeJson(line);
  }

  function takeData(text: string): void {
    if (text === '[DONE]') {
      isDone = true;
      return;
    }
    dataLength += text.length;
    if (dataLength <= EVENT_LENGTH_MAX) data.push(text);
    else isTooLong = true;
  }

  function dispatch(): void {
    // Some servers leave out the empty line between events, so lines that are no event together may be events apart.
    if (data.length > 0 && !emitJson(data.join('\n'))) for (const line of data) emitJson(line);
    data = [];
    dataLength = 0;
  }

  /** A line that is a value of its own is an event; otherwise it is part of a document that ends with the stream. */
  function takeJson(line: string): void {
    if (documentLength === 0 && line.startsWith('{') && emitJson(line)) return;
    documentLength += line.length;
    if (documentLength <= EVENT_LENGTH_MAX) document.push(line);
    else isTooLong = true;
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
    const rest = pending.join('').trim();
    if (rest.startsWith('data:')) {
      const last = rest.slice(5).trimStart();
      if (last === '[DONE]') isDone = true;
      else if (!emitJson([...data, last].join('\n'))) for (const line of [...data, last]) emitJson(line);
    } else if (data.length > 0) {
      emitJson(data.join('\n'));
    } else if (rest !== '' || document.length > 0) {
      emitJson([...document, rest].join('\n'));
    }
    return { isDone, isTooLong };
  }
  return { add, end };
}
