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

/** @param bytesTotal 0 where the size is unknown (standard input) */
export function startProgress(io: CliIo, bytesTotal: number): Progress {
  return io.terminal === undefined ? lines(io, bytesTotal) : bar(io, io.terminal, bytesTotal);
}

function lines(io: CliIo, bytesTotal: number): Progress {
  const startedMs = io.nowMs();
  let shownMs = startedMs;
  return {
    update: (name, bytesRead, counts) => {
      const nowMs = io.nowMs();
      if (nowMs - shownMs < LINE_EVERY_MS) return;
      shownMs = nowMs;
      io.writeError(`${name}: ${share(bytesRead, bytesTotal)}${figures(counts, nowMs - startedMs)}\n`);
    },
    note: (text) => io.writeError(`${text}\n`),
    stop: () => undefined,
  };
}

function bar(io: CliIo, terminal: NodeJS.WritableStream, bytesTotal: number): Progress {
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
      single.update(Math.min(bytesRead, bytesTotal), { figures: figures(counts, io.nowMs() - startedMs), name });
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

function figures(counts: ImportCounts, elapsedMs: number): string {
  const rate = elapsedMs > 0 ? Math.round((counts.records / elapsedMs) * 1_000) : 0;
  const trouble = counts.conflicts + counts.rejected + counts.unreadable;
  return [
    `${withGroups(counts.accepted)} accepted`,
    ...(counts.duplicates > 0 ? [`${withGroups(counts.duplicates)} duplicates`] : []),
    ...(trouble > 0 ? [`${withGroups(trouble)} not imported`] : []),
    `${withGroups(rate)}/s`,
  ].join(', ');
}
