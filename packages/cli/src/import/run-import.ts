import { createWriteStream } from 'node:fs';
import { once } from 'node:events';
import { CliError } from '../cli-error.ts';
import { EXIT_CODE, type ExitCode } from '../exit-code.ts';
import type { CliIo } from '../io.ts';
import { openTarget, type Target, type TargetOptions } from '../target/target.ts';
import { openCheckpoint } from './checkpoint.ts';
import { addCounts, type ImportCounts, NO_COUNTS } from './counts.ts';
import { type DryRun, dryRun } from './dry-run.ts';
import { explainConflicts, type ConflictSummary } from './explain-conflicts.ts';
import { createIssueLog, type IssueLog } from './issue-log.ts';
import { startProgress } from './progress.ts';
import { listPrices } from './list-prices.ts';
import { type ImportJob, runJob } from './run-job.ts';
import { printDryRun, printSummary } from './summary.ts';

export type ImportPlan = {
  /** `csv`, `cloudevents` or the name of an agent. */
  readonly kind: string;
  readonly customer: string | undefined;
  /** Whether the same usage found in another copy may be recorded already: that is how agents keep their logs. */
  readonly areCopiesHarmless: boolean;
  readonly jobs: readonly ImportJob[];
  /** Size of all inputs together, 0 where unknown. */
  readonly bytesTotal: number;
  /** Whatever else decides what the events look like: it belongs to a checkpoint's name. */
  readonly settings: readonly string[];
  /** What the reader wants said at the end. */
  readonly notes: () => readonly string[];
};

export type ImportFlags = TargetOptions & {
  readonly json?: boolean;
  readonly dryRun?: boolean;
  /** False with `--no-resume`. */
  readonly resume: boolean;
  readonly concurrency: number;
  readonly rejects?: string;
};

export type ImportSummary = {
  readonly target: string;
  readonly kind: string;
  readonly customer: string | undefined;
  readonly inputs: readonly { readonly name: string; readonly resumedAt: number; readonly counts: ImportCounts }[];
  readonly counts: ImportCounts;
  readonly conflicts: ConflictSummary | undefined;
  /** Codes of what the server recorded and warns of. */
  readonly warnings: readonly string[];
  readonly notes: readonly string[];
  readonly issues: readonly string[];
  readonly durationMs: number;
  readonly isInterrupted: boolean;
};

/** Runs an import from the first input to the summary; resolves to the process's exit code. */
export async function runImport(io: CliIo, plan: ImportPlan, flags: ImportFlags): Promise<ExitCode> {
  if (flags.dryRun === true) return previewImport(io, plan, flags);
  const rejects = flags.rejects === undefined ? undefined : openRejects(flags.rejects);
  const issues = createIssueLog(rejects?.keep);
  const target = await openTarget(io, flags, { mayCreate: true, onNote: (text) => io.writeError(`${text}\n`) });
  try {
    const summary = await importInto(io, plan, flags, target, issues);
    printSummary(io, summary, flags.json === true);
    if (summary.isInterrupted) return EXIT_CODE.interrupted;
    return isComplete(summary, plan) ? EXIT_CODE.ok : EXIT_CODE.partial;
  } finally {
    await target.close();
    await rejects?.close();
  }
}

async function importInto(
  io: CliIo,
  plan: ImportPlan,
  flags: ImportFlags,
  target: Target,
  issues: IssueLog,
): Promise<ImportSummary> {
  const startedMs = io.nowMs();
  const progress = startProgress(io, plan.bytesTotal);
  const inputs: { name: string; resumedAt: number; counts: ImportCounts }[] = [];
  const warned = new Set<string>();
  let bytesBefore = 0;
  let isInterrupted = false;
  for (const job of plan.jobs) {
    const input = { name: job.name, resumedAt: 0, counts: NO_COUNTS };
    inputs.push(input);
    const done = inputs.reduce((sum, one) => addCounts(sum, one.counts), NO_COUNTS);
    let bytesOfJob = 0;
    try {
      const key = [plan.kind, target.identity, plan.customer ?? '', job.name, ...plan.settings];
      const checkpoint = job.fingerprint === undefined ? undefined : openCheckpoint(target.stateDir, key);
      if (!flags.resume) checkpoint?.remove();
      const result = await runJob(
        job,
        {
          io,
          api: target.api,
          isCompressed: target.isRemote,
          concurrency: flags.concurrency,
          checkpoint,
          progress: {
            ...progress,
            update: (name, bytes, counts) => {
              bytesOfJob = bytes;
              progress.update(name, bytesBefore + bytes, addCounts(done, counts));
            },
          },
          onIssue: issues.add,
          onWarning: (code) => warned.add(code),
        },
        (counts) => {
          input.counts = counts;
        },
      );
      input.resumedAt = result.resumedAt;
    } catch (error) {
      progress.stop();
      if (!io.signal.aborted) throw withProgress(error, inputs, plan);
      isInterrupted = true;
      break;
    }
    bytesBefore += bytesOfJob;
  }
  progress.stop();
  return {
    target: target.label,
    kind: plan.kind,
    customer: plan.customer,
    inputs,
    counts: inputs.reduce((sum, one) => addCounts(sum, one.counts), NO_COUNTS),
    conflicts: isInterrupted ? undefined : await explainConflicts(target.api, issues.conflicts()),
    warnings: [...warned].filter((code) => code !== 'more_warnings'),
    notes: plan.notes(),
    issues: issues.lines(),
    durationMs: io.nowMs() - startedMs,
    isInterrupted,
  };
}

/** Names what was recorded before it failed, and that the same command goes on from there. */
function withProgress(error: unknown, inputs: readonly { counts: ImportCounts }[], plan: ImportPlan): unknown {
  const { records } = inputs.reduce((sum, one) => addCounts(sum, one.counts), NO_COUNTS);
  if (!(error instanceof Error) || error instanceof CliError || records === 0) return error;
  const next = plan.jobs.some((job) => job.fingerprint !== undefined)
    ? 'the same command goes on from there'
    : 'the same command is safe to repeat';
  error.message = `${error.message} (${records} records were answered before; ${next})`;
  return error;
}

/** Calls of a log that differ only in what surrounds their tokens are the same calls, recorded from another copy. */
function isComplete({ counts, conflicts }: ImportSummary, plan: ImportPlan): boolean {
  const harmless = plan.areCopiesHarmless ? (conflicts?.sameUsage ?? 0) + (conflicts?.recordedLarger ?? 0) : 0;
  return counts.rejected === 0 && counts.unreadable === 0 && counts.conflicts === harmless;
}

async function previewImport(io: CliIo, plan: ImportPlan, flags: ImportFlags): Promise<ExitCode> {
  const issues = createIssueLog(undefined);
  const found = await readAll(io, plan, issues);
  printDryRun(io, { ...found, notes: plan.notes(), issues: issues.lines() }, flags.json === true);
  return found.unreadable === 0 ? EXIT_CODE.ok : EXIT_CODE.partial;
}

async function readAll(io: CliIo, plan: ImportPlan, issues: IssueLog): Promise<DryRun> {
  const prices = await listPrices(io.nowMs());
  const progress = startProgress(io, plan.bytesTotal, 'read');
  let [bytes, records] = [0, 0];
  async function* all() {
    for (const job of plan.jobs) {
      const items = job.open((count) => {
        bytes += count;
        progress.update(job.name, bytes, { ...NO_COUNTS, records });
      });
      for await (const item of items) {
        records += 1;
        yield item;
      }
    }
  }
  try {
    return await dryRun(all(), prices, (place, detail) => issues.add({ kind: 'unreadable', place, detail }));
  } finally {
    progress.stop();
  }
}

function openRejects(path: string): { keep: (record: unknown) => void; close: () => Promise<void> } {
  const stream = createWriteStream(path, { mode: 0o600 });
  let failure: Error | undefined;
  stream.on('error', (error) => {
    failure = error;
  });
  return {
    keep: (record) => void stream.write(`${JSON.stringify(record)}\n`),
    close: async () => {
      stream.end();
      if (failure === undefined && !stream.closed) await once(stream, 'close');
      if (failure !== undefined)
        throw new CliError(EXIT_CODE.failed, `--rejects could not be written: ${failure.message}`);
    },
  };
}
