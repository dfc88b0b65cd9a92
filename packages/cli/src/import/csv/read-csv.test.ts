import fc from 'fast-check';
import { expect, test } from 'vitest';
import { collect } from '../../collect.test-support.ts';
import { CliError } from '../../cli-error.ts';
import type { ImportItem } from '../item.ts';
import { csvOptions, type CsvFlags } from './plan.ts';
import { readCsv } from './read-csv.ts';
import { createRowIdentity, joinIdentity } from './row-identity.ts';

const FLAGS: CsvFlags = {
  customer: 'acme',
  map: ['time=at', 'tokens.output=out', 'model=model'],
  set: [],
  type: 'llm.call',
  idFrom: 'row',
  delimiter: ',',
  timeFormat: 'auto',
  timeZone: 'UTC',
  null: ['NULL'],
};

async function read(text: string, flags: Partial<CsvFlags> = {}, chunk = 7): Promise<ImportItem[]> {
  async function* chunks() {
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; at += chunk) yield bytes.subarray(at, at + chunk);
  }
  const options = { ...csvOptions({ ...FLAGS, ...flags }), name: 't.csv' };
  return collect(readCsv(chunks(), options, { rows: 0, timesCut: 0 }));
}

function events(items: readonly ImportItem[]) {
  return items.flatMap((item) => (item.kind === 'event' ? [JSON.parse(item.line)] : []));
}

const HEADER = 'at,out,model\n';
const ROW = '2026-01-01 10:00:00,5,m\n';

test('a row becomes an event with what its columns mean', async () => {
  const [event] = events(
    await read(`${HEADER}2026-01-01 10:00:00.25,5,"gpt, 5"\n`, { set: ['user=ada', 'properties.a.b=1:integer'] }),
  );
  expect(event).toEqual({
    specversion: '1.0',
    id: expect.stringMatching(/^row-[0-9a-f]{32}$/),
    source: 'csv',
    type: 'llm.call',
    subject: 'acme',
    time: '2026-01-01T10:00:00.25Z',
    data: { user: 'ada', properties: { a: { b: 1 } }, tokens: { output: 5 }, model: 'gpt, 5' },
  });
});

test('an empty cell and NULL set nothing; a byte order mark and CRLF do no harm', async () => {
  const items = await read(`\uFEFFat,out,model\r\n2026-01-01,NULL,\r\n`);
  expect(events(items)[0].data).toEqual({});
});

test('a bad row is told with its line, and its neighbours are imported', async () => {
  const items = await read(`${HEADER}${ROW}noon,5,m\n2026-01-01,x,m\n2026-01-01,5\n,5,m\n${ROW}`);
  expect(items.map((item) => (item.kind === 'event' ? 'event' : `${item.place} ${item.detail.split(';')[0]}`))).toEqual(
    [
      'event',
      't.csv:3 at: "noon" is not a time in a known form',
      't.csv:4 out: "x" is not a whole number of 0 or more',
      't.csv:5 the row has 2 cells, the header 3',
      't.csv:6 the row has no time',
      'event',
    ],
  );
});

test('a delimiter, the customer from a column and an id from columns', async () => {
  const items = await read('who;at;n\nacme;2026-01-01;1\nzeus;2026-01-01;a:1%\n;2026-01-01;3\n', {
    delimiter: ';',
    customer: undefined,
    map: ['customer=who', 'time=at'],
    idFrom: 'who,n',
  });
  expect(events(items).map(({ id, subject }) => [id, subject])).toEqual([
    ['acme:1', 'acme'],
    ['zeus:a%3A1%25', 'zeus'],
  ]);
  expect(items[2]).toMatchObject({ kind: 'problem', detail: expect.stringContaining('who is empty') });
});

test('a column that is not there is named together with those that are', async () => {
  await expect(read(`at,out\n${ROW}`)).rejects.toThrow(/no column "model", which --map model=model names/);
  await expect(read('')).rejects.toThrow(CliError);
  await expect(read(`${HEADER}"unclosed`)).rejects.toThrow(/not a CSV file/);
});

test.each<[Partial<CsvFlags>, RegExp]>([
  [{ type: undefined }, /no event type/],
  [{ map: [] }, /no column gives the time/],
  [{ customer: undefined }, /no customer/],
  [{ set: ['model=x'] }, /set twice/],
  [{ delimiter: ';;' }, /no delimiter/],
  [{ timeFormat: 'american' }, /no time format/],
  [{ timeZone: 'Mars' }, /no zone/],
])('%j does not make a mapping', (flags, message) => {
  expect(() => csvOptions({ ...FLAGS, ...flags })).toThrow(message);
});

test('what the command line says wins over the preset', () => {
  const { map: _, type: __, ...bare } = FLAGS;
  const options = csvOptions({ ...bare, map: ['tokens.input=Prompt'], preset: 'azure-llm-trace', source: 'mine' });
  expect(options).toMatchObject({ source: 'mine', type: 'llm.call' });
  expect(options.assignments.map((one) => one.text).sort()).toEqual([
    'time=TIMESTAMP',
    'tokens.input=Prompt',
    'tokens.output=GeneratedTokens',
  ]);
});

test('row ids: repeatable, distinct for equal rows, kept by the old rows of a file that has grown', () => {
  const row = fc.array(fc.string(), { minLength: 1, maxLength: 3 });
  const ids = (rows: readonly string[][]) => {
    const next = createRowIdentity();
    return rows.map((values) => next(values));
  };
  fc.assert(
    fc.property(fc.array(row, { maxLength: 20 }), fc.array(row, { maxLength: 5 }), (rows, more) => {
      expect(ids([...rows, ...more]).slice(0, rows.length)).toEqual(ids(rows));
      expect(new Set(ids([...rows, ...rows])).size).toBe(rows.length * 2);
    }),
  );
});

test('ids joined from columns tell all values apart', () => {
  const values = fc.array(fc.string({ unit: fc.constantFrom('a', ':', '%', '3', 'A') }), {
    minLength: 2,
    maxLength: 2,
  });
  fc.assert(
    fc.property(values, values, (a, b) => {
      expect(joinIdentity(a) === joinIdentity(b)).toBe(JSON.stringify(a) === JSON.stringify(b));
    }),
  );
});

test('a cell that reads NULL is no id: two such rows would be taken for one event', async () => {
  const items = await read(`${HEADER}2026-01-01,5,NULL\n2026-01-01,5,NULL\n2026-01-01,5,m\n`, { idFrom: 'model' });
  expect(items.map((item) => item.kind)).toEqual(['problem', 'problem', 'event']);
});
