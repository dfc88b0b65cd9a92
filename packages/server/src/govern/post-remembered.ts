import { hash } from 'node:crypto';
import { resolveCustomers } from '../catalog/customers.ts';
import { type Database, isConnectionLost } from '../store/database.ts';
import type { HoldDesk } from './hold-desk.ts';
import type { RememberedStep } from './store-failure-journal.ts';

type HoldStep = Extract<RememberedStep, { readonly kind: 'hold' }>;

const ATTEMPTS_MAX = 5;
/** What an id that stands for another body in the database is shortened to, so that the longer name still fits. */
const ID_KEPT = 200;

/**
 * Posts one step. Safe to repeat: a hold is known by its body, a resolution happens once.
 *
 * @param names of holds that had to be posted under another id, by the id they were admitted under; added to.
 */
export async function postRemembered(
  database: Database,
  desk: HoldDesk,
  step: RememberedStep,
  names: Map<string, string>,
): Promise<void> {
  if (step.kind === 'hold') {
    const key = `${step.environmentId}/${step.request.id}`;
    if ((await postHold(database, step)) !== 'conflict') return;
    // Somebody else has given the id to another body, on another process or before. The work was done all the same.
    const suffix = hash('sha256', step.request.hash, 'hex').slice(0, 16);
    const id = `${step.request.id.slice(0, ID_KEPT)}~store-failure-${suffix}`;
    names.set(key, id);
    const outcome = await postHold(database, { ...step, request: { ...step.request, id } });
    if (outcome === 'conflict') throw new Error(`the hold ${id} stands for another body`);
    return;
  }
  const { environmentId, resolution } = step;
  const id = names.get(`${environmentId}/${resolution.id}`) ?? resolution.id;
  // Whatever it answers is so: where an event or the hold's expiry was first, that one counts.
  await desk.resolve(environmentId, { ...resolution, id });
}

async function postHold(database: Database, { environmentId, request, row }: HoldStep): Promise<string | undefined> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await database.transaction(async (client) => {
        const names = row.customer === null ? [] : [row.customer];
        const [customer] = names.length === 0 ? [] : await resolveCustomers(client, environmentId, names);
        const result = await client.query<{ outcome: string }>(
          'select ergon_post_remembered($1, $2, $3::jsonb) as outcome',
          [environmentId, row.created_at, JSON.stringify({ ...request, customer: customer?.id ?? null })],
        );
        return result.rows[0]?.outcome;
      });
    } catch (error) {
      // Two processes post one hold, or a circle of locks: nothing happened.
      if (attempt >= ATTEMPTS_MAX || isConnectionLost(error) || !isRepeatable(error)) throw error;
    }
  }
}

function isRepeatable(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === '23505' || error.code === '40P01');
}
