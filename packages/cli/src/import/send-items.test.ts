import fc from 'fast-check';
import { setTimeout as delay } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { type Api, ProblemError } from '../client/index.ts';
import type { ImportItem } from './item.ts';
import { type Issue, type SendProgress, sendItems } from './send-items.ts';

/** A naive server: a map from identity to body, that fails at given requests before or after it has recorded. */
function createStore(fails: (request: number) => 'before' | 'after' | undefined = () => undefined) {
  const recorded = new Map<string, string>();
  let [requests, underway, underwayMax] = [0, 0, 0];
  const ingest: Api['ingest'] = async ({ bytes, encoding }) => {
    requests += 1;
    const failure = fails(requests);
    underway += 1;
    underwayMax = Math.max(underwayMax, underway);
    await delay(0);
    underway -= 1;
    if (failure === 'before') throw new Error('down');
    const text = (encoding === 'gzip' ? gunzipSync(bytes) : Buffer.from(bytes)).toString();
    const results: { index: number; status: string; error?: { code: string; detail: string } }[] = [];
    const counts = { accepted: 0, duplicates: 0, conflicts: 0, rejected: 0 };
    for (const [index, line] of text.split('\n').entries()) {
      const { id, bad } = JSON.parse(line);
      if (bad === true) {
        counts.rejected += 1;
        results.push({ index, status: 'rejected', error: { code: 'bad', detail: 'it is bad' } });
      } else if (!recorded.has(id)) {
        counts.accepted += 1;
        recorded.set(id, line);
      } else if (recorded.get(id) === line) {
        counts.duplicates += 1;
      } else {
        counts.conflicts += 1;
        results.push({ index, status: 'conflict' });
      }
    }
    if (failure === 'after') throw new Error('the connection was lost');
    return { ...counts, results };
  };
  return { recorded, ingest, figures: () => ({ requests, underwayMax }) };
}

async function* itemsOf(records: readonly ('event' | 'bad' | 'problem')[]): AsyncGenerator<ImportItem> {
  for (const [index, record] of records.entries()) {
    const place = `f:${index}`;
    if (record === 'problem') yield { kind: 'problem', place, detail: 'no event' };
    else {
      const line = JSON.stringify(record === 'bad' ? { id: `e${index}`, bad: true } : { id: `e${index}` });
      yield { kind: 'event', source: 's', id: `e${index}`, line, place };
    }
  }
}

function options(ingest: Api['ingest'], more: { skip?: number; concurrency?: number; isCompressed?: boolean } = {}) {
  const seen: { last: SendProgress | undefined; issues: Issue[] } = { last: undefined, issues: [] };
  const abort = new AbortController();
  return {
    seen,
    abort,
    send: {
      api: { ingest },
      concurrency: more.concurrency ?? 3,
      isCompressed: more.isCompressed ?? false,
      signal: abort.signal,
      skip: more.skip ?? 0,
      onProgress: (progress: SendProgress) => {
        seen.last = progress;
      },
      onIssue: (issue: Issue) => seen.issues.push(issue),
    },
  };
}

test('every record is counted, every issue told with its place, never more requests at once than allowed', async () => {
  const store = createStore();
  const records = Array.from({ length: 5_300 }, (_, index) =>
    index === 7 ? 'bad' : index === 4_000 ? 'problem' : 'event',
  );
  const { seen, send } = options(store.ingest, { isCompressed: true });
  await sendItems(itemsOf(records), send);
  expect(seen.last?.counts).toEqual({
    records: 5_300,
    accepted: 5_298,
    duplicates: 0,
    conflicts: 0,
    rejected: 1,
    unreadable: 1,
  });
  expect(seen.last?.settled).toMatchObject({ records: 5_300, lastEvent: { id: 'e5299' } });
  expect(
    seen.issues.map((issue) => `${issue.kind} ${issue.kind === 'unreadable' ? issue.place : issue.event.place}`),
  ).toEqual(['rejected f:7', 'unreadable f:4000']);
  expect(store.figures()).toEqual({ requests: 11, underwayMax: 3 });
});

test('the same again is all duplicates; another body is a conflict', async () => {
  const store = createStore();
  await sendItems(itemsOf(Array.from({ length: 600 }, () => 'event')), options(store.ingest).send);
  store.recorded.set('e5', 'something else');
  const { seen, send } = options(store.ingest);
  await sendItems(itemsOf(Array.from({ length: 600 }, () => 'event')), send);
  expect(seen.last?.counts).toMatchObject({ accepted: 0, duplicates: 599, conflicts: 1 });
  expect(seen.issues).toMatchObject([{ kind: 'conflict', event: { id: 'e5' } }]);
});

test('however often it fails and whatever was recorded then, going on from what was settled records everything once', async () => {
  const failure = fc.constantFrom('before', 'after', undefined, undefined);
  const record = fc.constantFrom('event', 'event', 'event', 'bad', 'problem');
  await fc.assert(
    fc.asyncProperty(
      fc.array(failure, { maxLength: 12 }),
      fc.array(record, { minLength: 1, maxLength: 6 }),
      fc.integer({ min: 1, max: 4 }),
      async (failures, pattern, concurrency) => {
        const records = Array.from({ length: 3_200 }, (_, index) => pattern[index % pattern.length] ?? 'event');
        const store = createStore((request) => failures[request - 1]);
        let skip = 0;
        for (let run = 0; ; run += 1) {
          expect(run).toBeLessThanOrEqual(failures.length);
          const { seen, send } = options(store.ingest, { skip, concurrency });
          const outcome = await sendItems(itemsOf(records), send).then(
            () => 'done',
            () => 'failed',
          );
          const settled = seen.last?.settled.records ?? skip;
          expect(settled).toBeGreaterThanOrEqual(skip);
          skip = settled;
          if (outcome === 'done') break;
        }
        expect(skip).toBe(records.length);
        expect([...store.recorded.keys()].sort()).toEqual(
          records.flatMap((one, index) => (one === 'event' ? [`e${index}`] : [])).sort(),
        );
      },
    ),
    { numRuns: 40 },
  );
});

test('an interruption stops the reading, waits for what is under way and is told', async () => {
  const store = createStore();
  const { seen, abort, send } = options(store.ingest, { concurrency: 1 });
  async function* endless(): AsyncGenerator<ImportItem> {
    for (let index = 0; ; index += 1) {
      if (index === 2_750) abort.abort(new Error('interrupted'));
      yield { kind: 'event', source: 's', id: `e${index}`, line: JSON.stringify({ id: `e${index}` }), place: '' };
    }
  }
  await expect(sendItems(endless(), send)).rejects.toThrow('interrupted');
  expect(store.recorded.size).toBe(seen.last?.settled.records);
  expect(store.recorded.size).toBeGreaterThan(500);
});

test('a body too large is halved until the event at fault is alone', async () => {
  const store = createStore();
  const ingest: Api['ingest'] = async (body) => {
    if (Buffer.from(body.bytes).toString().includes('"e3"')) {
      throw new ProblemError({
        status: 413,
        code: 'body_too_large',
        title: 'Too large',
        detail: '',
        errors: [],
        faults: [],
        requestId: undefined,
      });
    }
    return store.ingest(body);
  };
  const { seen, send } = options(ingest);
  await sendItems(itemsOf(Array.from({ length: 20 }, () => 'event')), send);
  expect(seen.last?.counts).toMatchObject({ accepted: 19, rejected: 1 });
  expect(seen.issues).toMatchObject([{ kind: 'rejected', code: 'body_too_large', event: { id: 'e3' } }]);
});

test('an answer that does not account for every event is refused', async () => {
  const ingest: Api['ingest'] = async () => ({ accepted: 1, duplicates: 0, conflicts: 0, rejected: 0, results: [] });
  await expect(sendItems(itemsOf(['event', 'event']), options(ingest).send)).rejects.toThrow('1 of 2 events');
});
