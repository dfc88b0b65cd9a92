import type { Api } from '../client/index.ts';
import type { CliIo } from '../io.ts';
import { ProblemError } from '../client/index.ts';
import type { CheckpointStore } from './checkpoint.ts';
import { addCounts, type ImportCounts, NO_COUNTS } from './counts.ts';
import type { ImportItem } from './item.ts';
import type { Progress } from './progress.ts';
import { type Issue, type SendProgress, sendItems } from './send-items.ts';

/** One input to import: a file, or for Claude Code all its log files together. */
export type ImportJob = {
  /** Shown in messages. */
  readonly name: string;
  /** State of the input (`fingerprint`); `undefined` for standard input, which cannot be resumed. */
  readonly fingerprint: string | undefined;
  /** False once the records already read would not come in the same order again; from then on no checkpoint is written. */
  readonly isRepeatable?: () => boolean;
  readonly open: (onBytes: (count: number) => void) => AsyncIterable<ImportItem>;
};

export type JobContext = {
  readonly io: CliIo;
  readonly api: Api;
  readonly isCompressed: boolean;
  readonly concurrency: number;
  readonly checkpoint: CheckpointStore | undefined;
  readonly progress: Progress;
  readonly onIssue: (issue: Issue) => void;
  readonly onWarning: (code: string) => void;
};

export type JobResult = {
  /** This run and, where it was resumed, the runs before it. */
  readonly counts: ImportCounts;
  /** Records that an interrupted run before this one had already sent. */
  readonly resumedAt: number;
};

const SAVE_EVERY_MS = 250;

/** Sends one input from where an interrupted import left off, and keeps a checkpoint until it is through. */
export async function runJob(
  job: ImportJob,
  context: JobContext,
  sent: (counts: ImportCounts) => void,
): Promise<JobResult> {
  const { io, checkpoint } = context;
  const before = await resumable(job, context);
  const countsBefore = before?.counts ?? NO_COUNTS;
  let total = countsBefore;
  let bytesRead = 0;
  let latest: SendProgress | undefined;
  let savedMs = io.nowMs();
  const save = (): void => {
    const lastEvent = latest?.settled.lastEvent;
    if (latest === undefined || lastEvent === undefined || job.fingerprint === undefined) return;
    if (job.isRepeatable?.() === false) return;
    checkpoint?.save({
      version: 1,
      fingerprint: job.fingerprint,
      recordsDone: latest.settled.records,
      lastEvent: { source: lastEvent.source, id: lastEvent.id },
      counts: addCounts(countsBefore, latest.settled.counts),
      savedAt: new Date(io.nowMs()).toISOString(),
    });
    savedMs = io.nowMs();
  };
  const items = job.open((count) => {
    bytesRead += count;
    context.progress.update(job.name, bytesRead, total);
  });
  try {
    await sendItems(items, {
      api: context.api,
      concurrency: context.concurrency,
      isCompressed: context.isCompressed,
      signal: io.signal,
      skip: before?.recordsDone ?? 0,
      onIssue: context.onIssue,
      onWarning: context.onWarning,
      onProgress: (progress) => {
        latest = progress;
        total = addCounts(countsBefore, progress.counts);
        context.progress.update(job.name, bytesRead, total);
        if (io.nowMs() - savedMs >= SAVE_EVERY_MS) save();
      },
    });
  } catch (error) {
    save();
    sent(total);
    throw error;
  }
  checkpoint?.remove();
  sent(total);
  return { counts: total, resumedAt: before?.recordsDone ?? 0 };
}

/** The checkpoint, if the file is as it was then and the server still has the last event sent. */
async function resumable(job: ImportJob, context: JobContext) {
  const saved = context.checkpoint?.load();
  if (saved === undefined || job.fingerprint === undefined) return undefined;
  if (saved.fingerprint !== job.fingerprint) {
    context.progress.note(`${job.name} has changed since its import was interrupted; starting at its beginning.`);
    return undefined;
  }
  try {
    await context.api.lookupEvent(saved.lastEvent.source, saved.lastEvent.id);
    return saved;
  } catch (error) {
    const status = error instanceof ProblemError ? error.problem.status : undefined;
    if (status !== 404 && status !== 403) throw error;
    const reason = status === 403 ? 'This key may not read events, so' : 'The target does not have';
    const what =
      status === 403 ? 'what an interrupted import had sent cannot be checked' : 'what an interrupted import had sent';
    context.progress.note(`${reason} ${what}; starting ${job.name} at its beginning.`);
    return undefined;
  }
}
