import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';

/**
 * Ends connections of the database again and again: all that `where` (a condition on pg_stat_activity) finds, or one of them.
 * `stop` returns how many there were, once the last one was told to end: what connects afterwards is left alone.
 */
export function cutConnections(
  sql: pg.Client,
  { where, everyMs, one = false }: { where: string; everyMs: number; one?: boolean },
): { stop(): Promise<number> } {
  let isStopped = false;
  const cutting = (async () => {
    let cuts = 0;
    while (!isStopped) {
      const result = await sql.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid() and ${where} ${one ? 'order by random() limit 1' : ''}`,
      );
      cuts += result.rowCount ?? 0;
      await sleep(everyMs);
    }
    return cuts;
  })();
  return {
    stop() {
      isStopped = true;
      return cutting;
    },
  };
}
