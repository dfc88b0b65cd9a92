import { SingleBar } from 'cli-progress';
import type { CliIo } from '../io.ts';
import { withGroups } from '../print/number.ts';
import type { ImportCounts } from './counts.ts';

/** Shows how far an import is: a bar on a terminal, a line every few seconds elsewhere. */
export type Progress = {
  readonly update: (name: string, bytesRead: number, counts: ImportCounts) => void;
  /** One line between the bars, for retries. */
  readonly note: (text: string) => void;
  readonly stop: () => void;
};

const LINE_EVERY_MS = 5_000;

/**
 * @param bytesTotal 0 where the size is unknown (standard input)
 * @param what `read` where nothing is sent
 */
export function startProgress(io: CliIo, bytesTotal: number, what: 'sent' | 'read' = 'sent'): Progress {
  const show = what === 'sent' ? figures : readFigures;
  return io.terminal === undefined ? lines(io, bytesTotal, show) : bar(io, io.terminal, bytesTotal, show);
}

type Show = (counts: ImportCounts, elapsedMs: number) => string;

function lines(io: CliIo, bytesTotal: number, show: Show): Progress {
  const startedMs = io.nowMs();
  let shownMs = startedMs;
  return {
    update: (name, bytesRead, counts) => {
      const nowMs = io.nowMs();
      if (nowMs - shownMs < LINE_EVERY_MS) return;
      shownMs = nowMs;
      io.writeError(`${name}: ${share(bytesRead, bytesTotal)}${show(counts, nowMs - startedMs)}\n`);
    },
    note: (text) => io.writeError(`${text}\n`),
    stop: () => undefined,
  };
}

function bar(io: CliIo, terminal: NodeJS.WritableStream, bytesTotal: number, show: Show): Progress {
  const startedMs = io.nowMs();
  const single = new SingleBar({
    stream: terminal,
    format: '{bar} {percentage} %  {figures}  {name}',
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: 24,
    fps: 10,
    hideCursor: true,
    clearOnComplete: true,
    gracefulExit: false,
  });
  single.start(Math.max(1, bytesTotal), 0, { figures: '', name: '' });
  return {
    update: (name, bytesRead, counts) => {
      single.update(Math.min(bytesRead, bytesTotal), { figures: show(counts, io.nowMs() - startedMs), name });
    },
    note: (text) => {
      io.writeError(`\r\u001b[2K${text}\n`);
    },
    stop: () => single.stop(),
  };
}

function share(bytesRead: number, bytesTotal: number): string {
  return bytesTotal === 0 ? '' : `${Math.min(100, Math.floor((bytesRead / bytesTotal) * 100))} %, `;
}

function readFigures(counts: ImportCounts, elapsedMs: number): string {
  return `${withGroups(counts.records)} read, ${withGroups(perSecond(counts, elapsedMs))}/s`;
}

function perSecond({ records }: ImportCounts, elapsedMs: number): number {
  return elapsedMs > 0 ? Math.round((records / elapsedMs) * 1_000) : 0;
}

function figures(counts: ImportCounts, elapsedMs: number): string {
  const trouble = counts.conflicts + counts.rejected + counts.unreadable;
  return [
    `${withGroups(counts.accepted)} accepted`,
    ...(counts.duplicates > 0 ? [`${withGroups(counts.duplicates)} duplicates`] : []),
    ...(trouble > 0 ? [`${withGroups(trouble)} not imported`] : []),
    `${withGroups(perSecond(counts, elapsedMs))}/s`,
  ].join(', ');
}
