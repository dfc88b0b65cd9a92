import type { PriceSpec } from '@ergon/rating';
import { checkMeters, deriveVersions } from '../catalog/index.ts';
import { refuse } from '../http/problem.ts';
import { LIMITS } from '../limits.ts';
import type { Client } from '../store/database.ts';

/**
 * The card that a customer's own prices make of a card: a version of its own for each version that rates now or later. Under the
 * catalog's lock; publishing the card writes those to come.
 *
 * @returns the derived card's key; a plus sign tells it from every published one.
 */
export async function derivedCard(
  client: Client,
  environmentId: number,
  { key, rateCard, prices }: { key: string; rateCard: string; prices: readonly PriceSpec[] },
  now: string,
): Promise<string> {
  await checkMeters(client, environmentId, { prices: [...prices] });
  await refuseMany(client, environmentId, rateCard, now);
  const serial = await client.query<{ serial: bigint }>(`select nextval('price_override_serial') as serial`);
  const derivedKey = `${rateCard}+${key}.${serial.rows[0]?.serial ?? ''}`;
  const errors = await deriveVersions(client, environmentId, { baseKey: rateCard, derivedKey, prices }, now);
  if (errors.length > 0) {
    // The customer's prices stand first, so their places are those of the body; of the card's own the body has none.
    const own = errors.filter(({ pointer }) => Number(pointer.split('/')[2] ?? prices.length) < prices.length);
    throw refuse(
      'invalid_catalog',
      `the card ${rateCard} with these prices does not hold together`,
      own.length > 0 ? own : errors.map((error) => ({ ...error, pointer: '/prices' })),
    );
  }
  return derivedKey;
}

async function refuseMany(client: Client, environmentId: number, rateCard: string, now: string): Promise<void> {
  const result = await client.query<{ count: number }>(
    `select count(*)::int4 as count from customer_override where environment_id = $1 and rate_card = $2 and prices is not null
       and (effective_to is null or effective_to > $3)`,
    [environmentId, rateCard, now],
  );
  if ((result.rows[0]?.count ?? 0) < LIMITS.overlaysMax) return;
  throw refuse('conflict', `at most ${LIMITS.overlaysMax} overrides lay prices of their own over one card`);
}
