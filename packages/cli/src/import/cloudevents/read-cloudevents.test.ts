import fc from 'fast-check';
import { expect, test } from 'vitest';
import { collect } from '../../collect.test-support.ts';
import { readCloudEvents } from './read-cloudevents.ts';

async function read(text: string, size = 5, customer: string | undefined = 'acme') {
  async function* chunks() {
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
  }
  return collect(readCloudEvents(chunks(), { name: 'f', customer, source: 'import' }));
}

test('an event is sent as it is written, every digit of it', async () => {
  const line = '{"id":"a","source":"s","subject":"zeus","type":"t","data":{"big":12345678901234567890,"small":1e-30}}';
  expect(await read(`${line}\n`)).toEqual([{ kind: 'event', source: 's', id: 'a', line, place: 'f:1' }]);
});

test('a missing customer and source are put in front', async () => {
  expect(await read('{"id":"a"}')).toMatchObject([
    { line: '{"subject":"acme","source":"import","id":"a"}', source: 'import' },
  ]);
  expect(await read('{"id":"a","source":"s"}', 5, undefined)).toMatchObject([
    { line: '{"subject":"acme","id":"a","source":"s"}' },
  ]);
});

test('what is no event is told with its place; its neighbours are read', async () => {
  const items = await read('{"id":"a"}\n\nnope\n[1]\n{"source":"x"}\n{"id":"b"}\n');
  expect(items.map((item) => `${item.place} ${item.kind}`)).toEqual([
    'f:1 event',
    'f:3 problem',
    'f:4 problem',
    'f:5 problem',
    'f:6 event',
  ]);
});

test('a JSON array of any layout gives the same events as NDJSON', async () => {
  const event = fc.record({
    id: fc.string({ minLength: 1 }),
    source: fc.string({ minLength: 1 }),
    subject: fc.string({ minLength: 1 }),
    data: fc.dictionary(
      fc.string(),
      fc.oneof(fc.string(), fc.array(fc.string()), fc.dictionary(fc.string(), fc.integer())),
    ),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(event),
      fc.integer({ min: 1, max: 50 }),
      fc.constantFrom(0, 2),
      async (events, size, indent) => {
        const asArray = await read(JSON.stringify(events, null, indent), size);
        const asLines = await read(events.map((one) => JSON.stringify(one)).join('\n'), size);
        const parsed = (items: typeof asArray) =>
          items.map((item) => (item.kind === 'event' ? JSON.parse(item.line) : item));
        expect(parsed(asArray)).toEqual(events);
        expect(parsed(asArray)).toEqual(parsed(asLines));
        expect(asArray.every((item) => item.kind === 'event' && !item.line.includes('\n'))).toBe(true);
      },
    ),
  );
});

test('an array that is cut off gives what is whole and tells the rest', async () => {
  const items = await read('[{"id":"a"},{"id":"b","data":{"x":[1,2');
  expect(items).toMatchObject([
    { kind: 'event', id: 'a' },
    { kind: 'problem', place: 'f:2' },
  ]);
});

test('an array that is cut off between two events, or followed by another, is told', async () => {
  const kinds = async (text: string) => (await read(text)).map((item) => `${item.place} ${item.kind}`);
  expect(await kinds('[{"id":"a"}, ')).toEqual(['f:1 event', 'f:2 problem']);
  expect(await kinds('[{"id":"a"}]\n[{"id":"b"}]\n')).toEqual(['f:1 event', 'f:2 problem']);
  expect(await kinds('[')).toEqual(['f:1 problem']);
  expect(await kinds('[{"id":"a"},]\r\n \t')).toEqual(['f:1 event']);
  expect(await kinds('[]')).toEqual([]);
});

test('a customer and a source that are null are filled in as if they were missing', async () => {
  const [item] = await read('{"subject":null,"id":"a","source":null}');
  expect(item).toMatchObject({ kind: 'event', source: 'import' });
  expect(item?.kind === 'event' && JSON.parse(item.line)).toEqual({ subject: 'acme', id: 'a', source: 'import' });
});
