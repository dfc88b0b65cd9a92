import { z } from 'zod';
import type { Database } from '../store/database.ts';
import { LEASE_CHANNEL } from './lease-store.ts';

/** Leases by id, or all of an environment. */
const message = z.object({ environment: z.number().optional(), leases: z.array(z.string()).optional() });
type Asked = z.infer<typeof message>;

export type RecallListener = { stop(): void };

/** Listens on a connection of its own for leases that are asked back, until it is stopped or the connection is lost. */
export async function listenForRecalls(
  pool: Database['pool'],
  hears: { readonly isAskedBack: (asked: Asked) => void; readonly isDeaf: () => void },
): Promise<RecallListener> {
  const client = await pool.connect();
  let isOver = false;
  const end = (): void => {
    if (isOver) return;
    isOver = true;
    client.release(true);
  };
  const lost = (): void => {
    if (isOver) return;
    end();
    hears.isDeaf();
  };
  client.on('error', lost);
  client.on('end', lost);
  client.on('notification', ({ payload }) => {
    const asked = message.safeParse(JSON.parse(payload ?? '{}'));
    if (asked.success) hears.isAskedBack(asked.data);
  });
  try {
    await client.query(`listen ${LEASE_CHANNEL}`);
  } catch (error) {
    end();
    throw error;
  }
  return { stop: end };
}
