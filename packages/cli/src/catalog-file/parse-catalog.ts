import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Pair,
  parseAllDocuments,
  type Scalar,
  type YAMLMap,
} from 'yaml';

/** Where something stands in a file. */
export type Place = { readonly file: string; readonly line: number; readonly column: number };

/** Something wrong with a file, before any server has seen it. */
export type FileFault = { readonly place: Place; readonly message: string };

export type ParsedCatalog = {
  /** The documents of the file, as JSON would hold them. */
  readonly values: readonly Readonly<Record<string, unknown>>[];
  /** By JSON pointer, per document. */
  readonly places: readonly ReadonlyMap<string, Place>[];
  readonly faults: readonly FileFault[];
};

const DEPTH_MAX = 32;
/** With every alias written out: a few bytes of aliases to aliases could otherwise mean gigabytes. */
const NODES_MAX = 500_000;

/** Faults of one document that are told: what breaks a whole list is said often enough. */
const FAULTS_MAX = 20;

/** A member with this name holds the schema's address for editors; it is not sent. */
const SCHEMA_MEMBER = '$schema';

/**
 * Reads YAML 1.2, and JSON, which is a part of it. A number that is not a whole one which every reader keeps exactly becomes
 * text, digit for digit: `0.000000150` is a price, not the double next to it.
 */
export function parseCatalog(file: string, text: string): ParsedCatalog {
  const lines = new LineCounter();
  const at = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { file, line, column: col };
  };
  let documents: readonly Document.Parsed[];
  try {
    const found = parseAllDocuments(text, {
      lineCounter: lines,
      prettyErrors: false,
      intAsBigInt: true,
      version: '1.2',
    });
    documents = Array.isArray(found) ? found : [];
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return { values: [], places: [], faults: [{ place: at(0), message: 'it is nested too deep to be read' }] };
  }
  const faults: FileFault[] = [];
  const values: Record<string, unknown>[] = [];
  const places: Map<string, Place>[] = [];
  for (const document of documents) {
    const problem = document.errors[0];
    if (problem !== undefined) {
      faults.push({ place: at(problem.pos[0]), message: problem.message });
      continue;
    }
    const reader = new Reader(document, at);
    const value = reader.read();
    faults.push(...reader.faults);
    if (value === null || reader.faults.length > 0) continue;
    values.push(value);
    places.push(reader.places);
  }
  return { values, places, faults };
}

/** Turns the nodes of one document into JSON values and remembers where each stands. */
class Reader {
  readonly places = new Map<string, Place>();
  readonly faults: FileFault[] = [];
  readonly #document: Document.Parsed;
  readonly #at: (offset: number) => Place;
  readonly #anchors = new Map<string, unknown>();
  #nodes = 0;
  #aliases = 0;

  constructor(document: Document.Parsed, at: (offset: number) => Place) {
    this.#document = document;
    this.#at = at;
  }

  /** `null` for an empty document, and where the document is no mapping. */
  read(): Record<string, unknown> | null {
    const { contents } = this.#document;
    if (contents === null || (isScalar(contents) && contents.value === null)) return null;
    if (isMap(contents)) {
      this.#anchor(contents);
      const { [SCHEMA_MEMBER]: _schema, ...value } = this.#map(contents, '', 0);
      return value;
    }
    this.#fault(contents, 'a catalog is a mapping of kinds: meters, rate_cards, plans, ...');
    return null;
  }

  #value(node: unknown, pointer: string, depth: number): unknown {
    this.#nodes += 1;
    if (depth > DEPTH_MAX) return this.#fault(node, `nested deeper than ${DEPTH_MAX} levels`);
    if (this.#nodes === NODES_MAX) return this.#fault(node, `more than ${NODES_MAX} values, every alias written out`);
    if (this.#nodes > NODES_MAX || this.faults.length === FAULTS_MAX) return null;
    if (isAlias(node)) return this.#aliased(node, pointer, depth);
    this.#anchor(node);
    if (isMap(node)) return this.#map(node, pointer, depth);
    if (isSeq(node)) {
      return node.items.map((item, index) => {
        this.#mark(item, `${pointer}/${index}`);
        return this.#value(item, `${pointer}/${index}`, depth + 1);
      });
    }
    return isScalar(node) ? this.#scalar(node) : null;
  }

  #aliased(node: Alias, pointer: string, depth: number): unknown {
    if (!this.#anchors.has(node.source)) return this.#fault(node, `there is no anchor ${node.source} before`);
    this.#aliases += 1;
    const value = this.#value(this.#anchors.get(node.source), pointer, depth + 1);
    this.#aliases -= 1;
    return value;
  }

  /** An anchor holds from where it stands to the next of its name; one passed again through an alias has been seen. */
  #anchor(node: unknown): void {
    const isAnchored = isMap(node) || isSeq(node) || isScalar(node);
    if (this.#aliases === 0 && isAnchored && node.anchor !== undefined) this.#anchors.set(node.anchor, node);
  }

  #map(node: YAMLMap, pointer: string, depth: number): Record<string, unknown> {
    const value: Record<string, unknown> = {};
    for (const pair of node.items) {
      const name = this.#name(pair);
      if (name === undefined) continue;
      const inner = `${pointer}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
      this.#mark(pair.key, inner);
      const member = this.#value(pair.value, inner, depth + 1);
      // Not an assignment: a member named __proto__ is the server's to refuse.
      Object.defineProperty(value, name, { value: member, enumerable: true, configurable: true, writable: true });
    }
    return value;
  }

  #name({ key }: Pair): string | undefined {
    if (!isScalar(key)) {
      this.#fault(key, 'a name is a text, not a list or a mapping');
      return undefined;
    }
    if (key.value === '<<') {
      this.#fault(key, 'merge keys are not read; repeat the members, or give the whole value an anchor');
      return undefined;
    }
    return typeof key.value === 'string' ? key.value : (key.source ?? String(key.value));
  }

  #scalar(node: Scalar): unknown {
    const { value } = node;
    if (typeof value === 'bigint') {
      const isKept = value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER;
      return isKept ? Number(value) : value.toString();
    }
    if (typeof value !== 'number') return value;
    if (!Number.isFinite(value)) return this.#fault(node, `${node.source ?? String(value)} is no amount`);
    return (node.source ?? String(value)).replace(/^\+/, '');
  }

  #mark(node: unknown, pointer: string): void {
    const offset = offsetOf(node);
    if (offset !== undefined) this.places.set(pointer, this.#at(offset));
  }

  #fault(node: unknown, message: string): null {
    if (this.faults.length < FAULTS_MAX) this.faults.push({ place: this.#at(offsetOf(node) ?? 0), message });
    return null;
  }
}

function offsetOf(node: unknown): number | undefined {
  return isScalar(node) || isMap(node) || isSeq(node) || isAlias(node) ? node.range?.[0] : undefined;
}
