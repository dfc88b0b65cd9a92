import { parse } from 'csv-parse';
import { Readable } from 'node:stream';
import { CliError } from '../../cli-error.ts';
import { EXIT_CODE } from '../../exit-code.ts';
import type { ImportItem } from '../item.ts';
import { convertValue } from './convert-value.ts';
import type { Assignment, Target } from './mapping.ts';
import { parseTimestamp, type TimestampOptions } from './parse-timestamp.ts';
import { createRowIdentity, joinIdentity } from './row-identity.ts';

export type CsvOptions = {
  /** Shown in messages. */
  readonly name: string;
  readonly source: string;
  readonly type: string;
  readonly customer: string | undefined;
  readonly delimiter: string;
  readonly assignments: readonly Assignment[];
  /** Columns whose values are the event's id; empty for the hash of the rows (`row-identity.ts`). */
  readonly idColumns: readonly string[];
  /** Cells with one of these texts count as empty; an empty cell sets nothing. */
  readonly nullTexts: ReadonlySet<string>;
  readonly timestamp: TimestampOptions;
};

/** What the reader saw besides the events; grows while it reads. */
export type CsvNotes = { rows: number; timesCut: number };

type Cell = { readonly target: Target; readonly index: number; readonly column: string };

/** Turns the rows of a CSV with a header line into events. */
export async function* readCsv(
  chunks: AsyncIterable<Uint8Array>,
  options: CsvOptions,
  notes: CsvNotes,
): AsyncGenerator<ImportItem> {
  const parser = parse({
    delimiter: options.delimiter,
    bom: true,
    relax_column_count: true,
    skip_empty_lines: true,
    info: true,
  });
  const input = Readable.from(chunks, { objectMode: false });
  input.on('error', (error) => parser.destroy(error));
  let plan: RowPlan | undefined;
  try {
    const records: AsyncIterable<CsvRecord> = input.pipe(parser);
    for await (const { record, info } of records) {
      if (plan === undefined) {
        plan = planRows(record, options);
        continue;
      }
      notes.rows += 1;
      yield toItem(record, `${options.name}:${info.lines}`, plan, options, notes);
    }
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error) || !String(error.code).startsWith('CSV_')) throw error;
    throw new CliError(
      EXIT_CODE.failed,
      `${options.name} is not a CSV file: ${error.message}`,
      'Is --delimiter right?',
    );
  } finally {
    input.destroy();
  }
  if (plan === undefined)
    throw new CliError(EXIT_CODE.failed, `${options.name} is empty`, 'A header line was expected.');
}

type CsvRecord = { readonly record: string[]; readonly info: { readonly lines: number } };

type RowPlan = {
  readonly columns: number;
  readonly cells: readonly Cell[];
  readonly idCells: readonly { readonly index: number; readonly column: string }[];
  readonly fixed: readonly { readonly target: Target; readonly value: string }[];
  readonly rowId: (values: readonly string[]) => string;
};

function planRows(header: readonly string[], options: CsvOptions): RowPlan {
  const names = header.map((name) => name.trim());
  const indexOf = (column: string, what: string): number => {
    const index = names.indexOf(column);
    if (index !== -1) return index;
    throw new CliError(
      EXIT_CODE.usage,
      `${options.name} has no column ${JSON.stringify(column)}, which ${what} names`,
      `Its columns are: ${names.join(', ')}. If that looks like one column, say --delimiter.`,
    );
  };
  const cells: Cell[] = [];
  const fixed: { target: Target; value: string }[] = [];
  for (const { target, from, text } of options.assignments) {
    if ('column' in from) cells.push({ target, index: indexOf(from.column, `--map ${text}`), column: from.column });
    else fixed.push({ target, value: from.value });
  }
  const idCells = options.idColumns.map((column) => ({ index: indexOf(column, '--id-from'), column }));
  return { columns: names.length, cells, idCells, fixed, rowId: createRowIdentity() };
}

type Envelope = { specversion: '1.0'; id: string; source: string; type: string; subject?: string; time?: string };

function toItem(
  row: readonly string[],
  place: string,
  plan: RowPlan,
  options: CsvOptions,
  notes: CsvNotes,
): ImportItem {
  // Every row passes through the chain of hashes, also one that becomes no event.
  const rowId = plan.idCells.length === 0 ? plan.rowId(row) : undefined;
  const problem = (detail: string): ImportItem => ({ kind: 'problem', place, detail });
  if (row.length !== plan.columns) return problem(`the row has ${row.length} cells, the header ${plan.columns}`);
  const idValues = plan.idCells.map(({ index }) => (row[index] ?? '').trim());
  const emptyAt = idValues.findIndex((value) => value === '' || options.nullTexts.has(value));
  if (emptyAt !== -1)
    return problem(`${plan.idCells[emptyAt]?.column} is empty, and --id-from makes it the event's id`);
  const event: Envelope = {
    specversion: '1.0',
    id: rowId ?? joinIdentity(idValues),
    source: options.source,
    type: options.type,
  };
  if (options.customer !== undefined) event.subject = options.customer;
  const data: Record<string, unknown> = {};
  for (const { target, value } of plan.fixed) {
    const detail = assign(event, data, target, value, options, notes);
    if (detail !== undefined) return problem(detail);
  }
  for (const { target, index, column } of plan.cells) {
    const value = (row[index] ?? '').trim();
    if (value === '' || options.nullTexts.has(value)) continue;
    const detail = assign(event, data, target, value, options, notes);
    if (detail !== undefined) return problem(`${column}: ${detail}`);
  }
  if (event.time === undefined) return problem('the row has no time');
  if (event.subject === undefined) return problem('the row has no customer');
  return { kind: 'event', source: event.source, id: event.id, line: JSON.stringify({ ...event, data }), place };
}

/** Writes one value into the event; what is wrong with it, or `undefined`. */
function assign(
  event: Envelope,
  data: Record<string, unknown>,
  target: Target,
  text: string,
  options: CsvOptions,
  notes: CsvNotes,
): string | undefined {
  if (target.kind === 'data') {
    const converted = convertValue(text, target.type);
    if (!converted.ok) return converted.detail;
    setPath(data, target.path, converted.value);
    return undefined;
  }
  if (target.member !== 'time') {
    event[target.member] = text;
    return undefined;
  }
  const parsed = parseTimestamp(text, options.timestamp);
  if (!parsed.ok) return parsed.detail;
  if (parsed.isCut) notes.timesCut += 1;
  event.time = parsed.time;
  return undefined;
}

function setPath(data: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [head, ...rest] = path;
  if (head === undefined) return;
  if (rest.length === 0) {
    data[head] = value;
    return;
  }
  const inner = data[head];
  const next: Record<string, unknown> = typeof inner === 'object' && inner !== null ? { ...inner } : {};
  setPath(next, rest, value);
  data[head] = next;
}
