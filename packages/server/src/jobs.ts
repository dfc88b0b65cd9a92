/** Work that is done again and again beside the requests. */
export type Job = { readonly name: string; readonly everyMs: number; readonly run: () => Promise<unknown> };

export type RunningJobs = { stop(): Promise<void> };

/** Runs each job at its interval, never twice at once; a failure is reported and the job goes on at its next turn. */
export function startJobs(jobs: readonly Job[], onFailure: (name: string, error: unknown) => void): RunningJobs {
  let isStopped = false;
  const timers = new Set<NodeJS.Timeout>();
  const running = new Set<Promise<void>>();
  const schedule = (job: Job): void => {
    if (isStopped) return;
    const timer = setTimeout(() => {
      timers.delete(timer);
      const turn = runOnce(job, onFailure).finally(() => {
        running.delete(turn);
        schedule(job);
      });
      running.add(turn);
    }, job.everyMs);
    timer.unref();
    timers.add(timer);
  };
  for (const job of jobs) schedule(job);
  return {
    async stop() {
      isStopped = true;
      for (const timer of timers) clearTimeout(timer);
      await Promise.all(running);
    },
  };
}

async function runOnce(job: Job, onFailure: (name: string, error: unknown) => void): Promise<void> {
  try {
    await job.run();
  } catch (error) {
    onFailure(job.name, error);
  }
}
