import { formatInstant } from '../event/instant.ts';
import type { Client, Database } from '../store/database.ts';
import { SOURCE } from './grant-service.ts';
import { houseAccountIn, insertPosting } from './posting-store.ts';

/** Grants one transaction ends: few, because ingest waits for their accounts meanwhile. */
const BATCH = 200;

type ExpiredRow = {
  environment_id: number;
  id: bigint;
  customer_id: bigint;
  currency: string;
  balance: string;
  kind: 'paid' | 'promotional';
  is_void: boolean;
};

/**
 * Posts what expired grants still hold as breakage, and what holds have given back to voided ones to where the void sent the rest.
 * A grant that has ended cannot be burnt whether or not this has run; it only moves the rest out of the wallet. Safe to repeat, and
 * on several replicas at once: accounts that another holds are left to it.
 *
 * @param now microseconds since 1970.
 * @returns how many grants were ended.
 */
export async function expireGrants(database: Database, now: number): Promise<number> {
  let ended = 0;
  for (;;) {
    const count = await database.transaction((client) => expireBatch(client, formatInstant(now)));
    ended += count;
    if (count < BATCH) return ended;
  }
}

async function expireBatch(client: Client, now: string): Promise<number> {
  const result = await client.query<ExpiredRow>(
    `select a.environment_id, a.id, a.customer_id, a.currency, a.balance, g.kind, g.voided_at is not null as is_void
     from credit_grant g join account a on a.environment_id = g.environment_id and a.id = g.account_id
       join environment e on e.id = g.environment_id
     where g.expires_at <= coalesce(e.clock_at, $1) and a.balance > 0
     order by a.environment_id, a.id limit $2 for update of a skip locked`,
    [now, BATCH],
  );
  for (const row of result.rows) {
    await insertPosting(client, {
      environmentId: row.environment_id,
      customerId: row.customer_id,
      kind: row.is_void ? 'void_grant' : 'expiry',
      debitAccountId: row.id,
      creditAccountId: await houseAccountIn(
        client,
        row.environment_id,
        row.is_void ? SOURCE[row.kind] : 'breakage',
        row.currency,
      ),
      currency: row.currency,
      amount: row.balance,
    });
    await client.query('update account set balance = 0 where environment_id = $1 and id = $2', [
      row.environment_id,
      row.id,
    ]);
  }
  return result.rows.length;
}
