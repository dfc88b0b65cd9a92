import type { Client } from '../store/database.ts';
import { uuidArray } from '../store/pg-arrays.ts';
import type { Generations } from './generations.ts';

/** What an identity is claimed with: 32 hexadecimal digits each. */
export type IdentityClaim = { readonly identity: string; readonly bodyHash: string };

export type Claim = {
  readonly revision: bigint;
  readonly blockId: bigint;
  readonly voidsWaiting: boolean;
  /** Body hash under which another event holds the identity; absent for the ones that are now ours. */
  readonly taken: ReadonlyMap<string, string>;
};

/** A generation was sealed since this process looked: the caller rolls back, refreshes and tries again. */
export class StaleGenerationsError extends Error {}

type OpenRow = { catalog_revision: bigint; open_generation: number; voids_waiting: boolean; block_id: bigint };

/**
 * Takes the transaction's shared locks and claims identities: step 1 of the one transaction. The statements leave together;
 * that the open generation is still the one written into is checked under the lock.
 */
export async function claimIdentities(
  client: Client,
  generations: Generations,
  environmentId: number,
  isExclusive: boolean,
  claims: readonly IdentityClaim[],
): Promise<Claim> {
  const generation = await generations.open(client);
  const keys = claims.map((claim) => claim.identity);
  const suspects = generations.suspects(keys);
  const open = client.query<OpenRow>({
    name: 'open',
    text: 'select catalog_revision, open_generation, voids_waiting, block_id from ergon_open($1, $2)',
    values: [environmentId, isExclusive],
  });
  const older = suspects.length === 0 ? undefined : bodiesIn(client, 'older', `generation < ${generation}`, suspects);
  const inserted = insert(client, generation, claims, suspects);
  await Promise.allSettled([open, older, inserted]); // Every statement of the pipeline is heard before the first failure is thrown.
  const [opened, olderBodies, insertion] = [await open, (await older) ?? NONE, await inserted];
  const row = opened.rows[0];
  if (row === undefined) throw new Error(`environment ${environmentId} does not exist`);
  if (row.open_generation !== generation)
    throw new StaleGenerationsError('a generation of identities was sealed meanwhile');
  const taken = new Map(olderBodies);
  if ((insertion.rowCount ?? 0) < claims.length - olderBodies.size) {
    // A new statement: this one sees what committed while the insert waited for it.
    const others = await bodiesIn(client, 'others', `generation = ${generation}`, keys, row.block_id);
    for (const [key, body] of others) taken.set(key, body);
  }
  return { revision: row.catalog_revision, blockId: row.block_id, voidsWaiting: row.voids_waiting, taken };
}

const NONE: ReadonlyMap<string, string> = new Map();

/** In key order, so that two claims of overlapping sets wait for one another in one direction only. */
function insert(client: Client, generation: number, claims: readonly IdentityClaim[], suspects: readonly string[]) {
  const isNew =
    suspects.length === 0
      ? ''
      : `where not k.key = any(array(select o.key from identity o where o.generation < ${generation} and o.key = any($3::uuid[])))`;
  return client.query({
    name: `claim_${generation}${suspects.length === 0 ? '' : '_suspects'}`,
    text: `insert into identity_${generation} (generation, key, body, block_id, position)
      select ${generation}, k.key, k.body, currval('event_block_id'), k.position - 1
      from unnest($1::uuid[], $2::uuid[]) with ordinality as k(key, body, position) ${isNew}
      order by k.key on conflict do nothing`,
    values: [
      uuidArray(claims.map((claim) => claim.identity)),
      uuidArray(claims.map((claim) => claim.bodyHash)),
      ...(suspects.length === 0 ? [] : [uuidArray(suspects)]),
    ],
  });
}

async function bodiesIn(
  client: Client,
  name: string,
  condition: string,
  keys: readonly string[],
  ownBlock = 0n,
): Promise<ReadonlyMap<string, string>> {
  const result = await client.query<[string, string]>({
    name: `${name}_${condition}`,
    text: `select encode(uuid_send(key), 'hex'), encode(uuid_send(body), 'hex') from identity
      where ${condition} and key = any($1::uuid[]) and block_id <> $2::int8`,
    values: [uuidArray(keys), ownBlock.toString()],
    rowMode: 'array',
  });
  return new Map(result.rows);
}
