import { formatInstant } from '../event/instant.ts';
import type { Database } from '../store/database.ts';
import type { HoldDesk } from './hold-desk.ts';
import { dueHolds } from './hold-store.ts';

const BATCH = 200;

/**
 * Ends open holds whose time is over: what they set aside is free again; a dispatched one settles at its estimate. Safe to
 * repeat, and on several replicas at once: a hold resolves once.
 *
 * @returns how many were looked at.
 */
export async function expireHolds(database: Database, desk: HoldDesk, now: number): Promise<number> {
  let seen = 0;
  for (;;) {
    const due = await dueHolds(database.pool, formatInstant(now), BATCH);
    await Promise.all(due.map(({ environment_id, id }) => desk.resolve(environment_id, { id, action: 'expire' })));
    seen += due.length;
    if (due.length < BATCH) return seen;
  }
}
