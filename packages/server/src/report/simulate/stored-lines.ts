/** The beginning of a stored rating (record/encode-rating.ts): all but its lines and what follows them. */
export type RatingHead = {
  /** Customer. */
  readonly c: number | null;
  /** Receipt, where no time was sent. */
  readonly t?: number | undefined;
  readonly q: readonly (readonly [meter: string, quantity: string])[];
  readonly m?: readonly [canonical: string, family?: string] | undefined;
  /** Period. */
  readonly p?: string | undefined;
};

/**
 * The lines of a rating are most of its text, and a simulation makes its own: only what stands before them is read, by hand,
 * because the text is our own and this is done for every event of a month. A text in another form goes through the parser.
 */
export function ratingHead(text: string): RatingHead {
  const lines = text.indexOf(',"l":');
  // No string inside can hold the mark unescaped.
  const head = lines === -1 ? text : text.slice(0, lines);
  return scanHead(head) ?? (JSON.parse(lines === -1 ? text : `${head}}`) as RatingHead);
}

const START = '{"c":';
const QUANTITIES = ',"q":[';

function scanHead(head: string): RatingHead | undefined {
  const from = head.indexOf(QUANTITIES);
  const receipt = head.indexOf(',"t":');
  if (from === -1 || !head.startsWith(START)) return undefined;
  const hasReceipt = receipt !== -1 && receipt < from;
  const c = wholeNumber(head, START.length, hasReceipt ? receipt : from);
  const t = hasReceipt ? wholeNumber(head, receipt + 5, from) : undefined;
  if (c === undefined || (hasReceipt && t === undefined)) return undefined;
  const q: (readonly [string, string])[] = [];
  let at = from + QUANTITIES.length;
  while (head.charCodeAt(at) === OPEN_BRACKET) {
    const nameEnd = head.indexOf('","', at);
    const valueEnd = head.indexOf('"]', nameEnd + 3);
    if (nameEnd === -1 || valueEnd === -1) return undefined;
    const value = head.slice(nameEnd + 3, valueEnd);
    // Escapes, and quotes that end a text earlier than they seem to.
    if (value.includes('"') || value.includes('\\')) return undefined;
    q.push([head.slice(at + 2, nameEnd), value]);
    at = valueEnd + 2;
    if (head.charCodeAt(at) === COMMA) at += 1;
  }
  const model = head.indexOf(',"m":[', at);
  const modelEnd = model === -1 ? -1 : head.indexOf('"]', model);
  const period = head.indexOf(',"p":"', at);
  const names = model === -1 ? '' : head.slice(model + 5, modelEnd + 2);
  if (names.includes('\\')) return undefined;
  return {
    c,
    q,
    t,
    m: names === '' ? undefined : modelNames(names),
    p: period === -1 ? undefined : head.slice(period + 6, head.indexOf('"', period + 6)),
  };
}

const MODELS_REMEMBERED_MAX = 10_000;
const models = new Map<string, RatingHead['m']>();

function modelNames(text: string): RatingHead['m'] {
  const known = models.get(text);
  if (known !== undefined) return known;
  if (models.size >= MODELS_REMEMBERED_MAX) models.clear();
  const parsed = JSON.parse(text) as RatingHead['m'];
  models.set(text, parsed);
  return parsed;
}

const OPEN_BRACKET = 0x5b;
const COMMA = 0x2c;

function wholeNumber(text: string, from: number, to: number): number | undefined {
  const value = Number(text.slice(from, to));
  return Number.isSafeInteger(value) ? value : undefined;
}
