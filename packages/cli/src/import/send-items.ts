import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { type Api, ProblemError } from '../client/index.ts';
import { addCounts, type ImportCounts, NO_COUNTS } from './counts.ts';
import type { ImportEvent, ImportItem } from './item.ts';

/** Events a request: large enough to amortise a commit, small enough that a retry costs little. */
export const BATCH_EVENTS = 500;
/** Bytes a request, half of what the server takes. */
const BATCH_BYTES = 4 * 1024 * 1024;

export type SendOptions = {
  readonly api: Pick<Api, 'ingest'>;
  /** Requests under way at once; with the batch size it bounds the memory. */
  readonly concurrency: number;
  /** Compress the requests: worth it over a network, not within the process. */
  readonly isCompressed: boolean;
  readonly signal: AbortSignal;
  /** Records at the beginning that an earlier run has already sent. */
  readonly skip: number;
  readonly onProgress: (progress: SendProgress) => void;
  /** One record that was not imported, and why. */
  readonly onIssue: (issue: Issue) => void;
  /** What the server recorded and warns of, by its code. */
  readonly onWarning?: (code: string) => void;
};

export type SendProgress = {
  /** All that is answered. */
  readonly counts: ImportCounts;
  /** Records answered without a gap from the first one on, skipped ones included, with what became of them. */
  readonly settled: {
    readonly records: number;
    readonly counts: ImportCounts;
    readonly lastEvent: ImportEvent | undefined;
  };
};

export type Issue =
  | { readonly kind: 'unreadable'; readonly place: string; readonly detail: string }
  | { readonly kind: 'rejected'; readonly event: ImportEvent; readonly code: string; readonly detail: string }
  | { readonly kind: 'conflict'; readonly event: ImportEvent };

type Batch = {
  readonly events: readonly ImportEvent[];
  /** Records from the one after the previous batch to the last of this one. */
  readonly counts: ImportCounts;
};

/**
 * Sends the items in batches, a bounded number at a time, and resolves when all are answered. When the signal aborts or a
 * request fails for good, it stops reading, waits for what is under way, and then throws; what was answered until then has
 * been reported to `onProgress`.
 */
export async function sendItems(items: AsyncIterable<ImportItem>, options: SendOptions): Promise<void> {
  const underway = new Set<Promise<void>>();
  const tracker = createTracker(options);
  let failure: { readonly error: unknown } | undefined;
  const send = async (batch: Batch, done: (outcome: Outcome) => void): Promise<void> => {
    try {
      done(await sendBatch(batch.events, options));
    } catch (error) {
      failure ??= { error };
    }
  };
  for await (const batch of intoBatches(skipped(items, options), options)) {
    while (underway.size >= options.concurrency) await Promise.race(underway);
    if (failure !== undefined || options.signal.aborted) break;
    const done = tracker.begin(batch);
    const sending = send(batch, done).finally(() => underway.delete(sending));
    underway.add(sending);
  }
  await Promise.all(underway);
  if (failure !== undefined) throw failure.error;
  options.signal.throwIfAborted();
}

async function* skipped(items: AsyncIterable<ImportItem>, options: SendOptions): AsyncGenerator<ImportItem> {
  let seen = 0;
  for await (const item of items) {
    seen += 1;
    if (seen > options.skip) yield item;
    if (options.signal.aborted) return;
  }
}

async function* intoBatches(items: AsyncIterable<ImportItem>, options: SendOptions): AsyncGenerator<Batch> {
  let events: ImportEvent[] = [];
  let bytes = 0;
  let records = 0;
  let unreadable = 0;
  const take = (): Batch => {
    const batch = { events, counts: { ...NO_COUNTS, records, unreadable } };
    events = [];
    bytes = 0;
    records = 0;
    unreadable = 0;
    return batch;
  };
  for await (const item of items) {
    if (item.kind === 'event') {
      // Characters, not bytes: at most three bytes each, and the limit is half of the server's for ASCII.
      if (events.length > 0 && bytes + item.line.length > BATCH_BYTES) yield take();
      events.push(item);
      bytes += item.line.length + 1;
    } else {
      unreadable += 1;
      options.onIssue({ kind: 'unreadable', place: item.place, detail: item.detail });
    }
    records += 1;
    if (events.length >= BATCH_EVENTS || records >= BATCH_EVENTS * 8) yield take();
  }
  if (records > 0) yield take();
}

type Outcome = { readonly counts: ImportCounts; readonly lastEvent: ImportEvent | undefined };

function createTracker(options: SendOptions) {
  type Slot = { outcome: Outcome | undefined };
  const slots: Slot[] = [];
  let counts = NO_COUNTS;
  let settled: SendProgress['settled'] = { records: options.skip, counts: NO_COUNTS, lastEvent: undefined };
  return {
    begin(batch: Batch): (outcome: Outcome) => void {
      const slot: Slot = { outcome: undefined };
      slots.push(slot);
      return (sent) => {
        slot.outcome = { ...sent, counts: addCounts(sent.counts, batch.counts) };
        counts = addCounts(counts, slot.outcome.counts);
        for (let first = slots[0]?.outcome; first !== undefined; first = slots[0]?.outcome) {
          settled = {
            records: settled.records + first.counts.records,
            counts: addCounts(settled.counts, first.counts),
            lastEvent: first.lastEvent ?? settled.lastEvent,
          };
          slots.shift();
        }
        options.onProgress({ counts, settled });
      };
    },
  };
}

const compress = promisify(gzip);

async function sendBatch(events: readonly ImportEvent[], options: SendOptions): Promise<Outcome> {
  if (events.length === 0) return { counts: NO_COUNTS, lastEvent: undefined };
  const text = Buffer.from(events.map((event) => event.line).join('\n'));
  const body = options.isCompressed
    ? { bytes: Uint8Array.from(await compress(text, { level: 1 })), encoding: 'gzip' }
    : { bytes: Uint8Array.from(text) };
  try {
    const report = await options.api.ingest(body);
    return readReport(report, events, options);
  } catch (error) {
    // A body that is too large is halved until the one event at fault is alone.
    if (!(error instanceof ProblemError) || error.problem.status !== 413) throw error;
    const [only] = events;
    if (events.length === 1 && only !== undefined) {
      options.onIssue({ kind: 'rejected', event: only, code: error.problem.code, detail: error.message });
      return { counts: { ...NO_COUNTS, rejected: 1 }, lastEvent: undefined };
    }
    const middle = Math.ceil(events.length / 2);
    const first = await sendBatch(events.slice(0, middle), options);
    const second = await sendBatch(events.slice(middle), options);
    return { counts: addCounts(first.counts, second.counts), lastEvent: second.lastEvent ?? first.lastEvent };
  }
}

type Report = Awaited<ReturnType<Api['ingest']>>;

function readReport(report: Report, events: readonly ImportEvent[], options: SendOptions): Outcome {
  const { accepted, duplicates, conflicts, rejected } = report;
  if (accepted + duplicates + conflicts + rejected !== events.length) {
    throw new Error(
      `the server answered for ${accepted + duplicates + conflicts + rejected} of ${events.length} events; nothing can be counted on`,
    );
  }
  const refused = new Set<number>();
  for (const result of report.results) {
    const event = events[result.index];
    if (event === undefined) continue;
    if (result.status === 'rejected') {
      refused.add(result.index);
      const { code = 'rejected', detail = 'the server gave no reason' } = result.error ?? {};
      options.onIssue({ kind: 'rejected', event, code, detail });
    } else if (result.status === 'conflict') {
      options.onIssue({ kind: 'conflict', event });
    }
  }
  for (const { code } of report.warnings ?? []) options.onWarning?.(code);
  const lastEvent = events.findLast((_, index) => !refused.has(index));
  return { counts: { ...NO_COUNTS, accepted, duplicates, conflicts, rejected }, lastEvent };
}
