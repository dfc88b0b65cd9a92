import { SingleBar } from 'cli-progress';
import type { SimulationProgress } from '../client/index.ts';
import type { CliIo } from '../io.ts';
import { withGroups } from '../print/number.ts';

export type ShownProgress = { readonly update: (progress: SimulationProgress) => void; readonly stop: () => void };

/** A bar on a terminal, from the first progress on; nothing elsewhere, where the answer is all that is wanted. */
export function showProgress({ terminal }: Pick<CliIo, 'terminal'>): ShownProgress {
  if (terminal === undefined) return { update: () => undefined, stop: () => undefined };
  let bar: SingleBar | undefined;
  return {
    update: (progress) => {
      if (bar === undefined) {
        bar = new SingleBar({
          stream: terminal,
          format: '{bar} {percentage} %  {figures}',
          barCompleteChar: '█',
          barIncompleteChar: '░',
          barsize: 24,
          fps: 10,
          hideCursor: true,
          clearOnComplete: true,
          gracefulExit: false,
        });
        bar.start(Math.max(1, progress.events_total), 0, { figures: figures(progress) });
      }
      bar.update(progress.events_done, { figures: figures(progress) });
    },
    stop: () => bar?.stop(),
  };
}

function figures(progress: SimulationProgress): string {
  const events = `${withGroups(progress.events_done)} of ${withGroups(progress.events_total)} events`;
  const rate = `${withGroups(progress.events_per_second)}/s`;
  return `${events}, ${rate}, ${withGroups(progress.customers_total)} customers`;
}
