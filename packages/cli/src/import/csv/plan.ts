import { CliError } from '../../cli-error.ts';
import { EXIT_CODE } from '../../exit-code.ts';
import { plural, withGroups } from '../../print/number.ts';
import type { FileInput } from '../file-input.ts';
import type { ImportPlan } from '../run-import.ts';
import { type Assignment, parseAssignment } from './mapping.ts';
import { compilePattern, parseZone, type TimeFormat } from './parse-timestamp.ts';
import { CSV_PRESETS } from './presets.ts';
import { type CsvNotes, type CsvOptions, readCsv } from './read-csv.ts';

export type CsvFlags = {
  readonly customer?: string | undefined;
  readonly preset?: string;
  readonly map: readonly string[];
  readonly set: readonly string[];
  readonly type?: string | undefined;
  readonly source?: string;
  readonly idFrom: string;
  readonly delimiter: string;
  readonly timeFormat: string;
  readonly timeZone: string;
  readonly null: readonly string[];
};

/** `ergon import csv`. @throws CliError for flags that do not make a mapping. */
export function csvPlan(files: readonly FileInput[], flags: CsvFlags): ImportPlan {
  const options = csvOptions(flags);
  const notes: CsvNotes = { rows: 0, timesCut: 0 };
  return {
    kind: 'csv',
    customer: flags.customer,
    areCopiesHarmless: false,
    jobs: files.map((file) => file.job((chunks) => readCsv(chunks, { ...options, name: file.name }, notes))),
    bytesTotal: files.reduce((sum, file) => sum + file.bytes, 0),
    settings: [JSON.stringify({ ...options, nullTexts: [...options.nullTexts] })],
    notes: () =>
      notes.timesCut === 0
        ? []
        : [
            `${withGroups(notes.timesCut)} of ${plural(notes.rows, 'time')} had digits beyond microseconds that are not zero; Ergon keeps microseconds, the rest was cut off.`,
          ],
  };
}

/** The mapping that the flags and the preset make together; what the flags say wins. */
export function csvOptions(flags: CsvFlags): Omit<CsvOptions, 'name'> {
  const preset = flags.preset === undefined ? undefined : CSV_PRESETS.get(flags.preset);
  const given = [
    ...flags.map.map((text) => assignment(text, 'column')),
    ...flags.set.map((text) => assignment(text, 'value')),
  ];
  const targets = new Set(given.map(targetName));
  if (targets.size < given.length) throw new CliError(EXIT_CODE.usage, 'a target is set twice by --map and --set');
  const inherited = (preset?.map ?? []).map((text) => assignment(text, 'column'));
  const assignments = [...inherited.filter((one) => !targets.has(targetName(one))), ...given];
  const all = new Set(assignments.map(targetName));
  const type = flags.type ?? preset?.type ?? (all.has('type') ? 'custom' : undefined);
  if (type === undefined) {
    throw new CliError(
      EXIT_CODE.usage,
      'no event type',
      'Say --type llm.call for model calls, or a name of your own such as --type gpu.job.',
    );
  }
  if (!all.has('time')) {
    throw new CliError(EXIT_CODE.usage, 'no column gives the time of an event', 'Say --map time=COLUMN.');
  }
  if (flags.customer === undefined && !all.has('subject')) {
    throw new CliError(EXIT_CODE.usage, 'no customer', 'Say --customer ID, or --map customer=COLUMN.');
  }
  return {
    source: flags.source ?? preset?.source ?? 'csv',
    type,
    customer: flags.customer,
    delimiter: delimiterOf(flags.delimiter),
    assignments,
    idColumns: flags.idFrom === 'row' ? [] : flags.idFrom.split(',').map((column) => column.trim()),
    nullTexts: new Set(flags.null),
    timestamp: { format: timeFormatOf(flags.timeFormat), zoneOffsetMinutes: zoneOf(flags.timeZone) },
  };
}

function assignment(text: string, origin: 'column' | 'value'): Assignment {
  const parsed = parseAssignment(text, origin);
  if (!parsed.ok) throw new CliError(EXIT_CODE.usage, parsed.detail);
  return parsed.assignment;
}

function targetName({ target }: Assignment): string {
  return target.kind === 'envelope' ? target.member : `data.${target.path.join('.')}`;
}

function delimiterOf(text: string): string {
  if (text === 'tab' || text === '\\t') return '\t';
  if (text.length === 1) return text;
  throw new CliError(
    EXIT_CODE.usage,
    `${JSON.stringify(text)} is no delimiter`,
    'One character was expected, or "tab".',
  );
}

const TIME_FORMATS = ['auto', 'unix', 'unix-ms', 'unix-us', 'unix-ns'] as const;

function timeFormatOf(text: string): TimeFormat {
  const named = TIME_FORMATS.find((one) => one === text);
  if (named !== undefined) return named;
  if (compilePattern(text) !== undefined) return { pattern: text };
  throw new CliError(
    EXIT_CODE.usage,
    `${JSON.stringify(text)} is no time format`,
    `Expected ${TIME_FORMATS.join(', ')}, or a pattern with YYYY, MM and DD once each, such as "DD.MM.YYYY HH:mm:ss".`,
  );
}

function zoneOf(text: string): number {
  const offset = parseZone(text);
  if (offset !== undefined) return offset;
  throw new CliError(
    EXIT_CODE.usage,
    `${JSON.stringify(text)} is no zone`,
    'Expected UTC or an offset such as +02:00.',
  );
}
