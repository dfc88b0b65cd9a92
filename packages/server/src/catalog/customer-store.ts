import type { Queryable } from '../store/database.ts';

export type CustomerRow = {
  id: bigint;
  external_id: string;
  name: string | null;
  time_zone: string;
  rate_card: string | null;
  is_provisional: boolean;
  metadata: Record<string, string>;
  created_at: string;
};

/** What a client may say about a customer. */
export type CustomerSpec = {
  readonly name: string | null;
  readonly timeZone: string;
  readonly rateCard: string | null;
  readonly metadata: Readonly<Record<string, string>>;
};

const COLUMNS = 'id, external_id, name, time_zone, rate_card, is_provisional, metadata, created_at';

/** In the order they were first seen. */
export async function listCustomers(
  db: Queryable,
  environmentId: number,
  after: bigint | undefined,
  limit: number,
): Promise<CustomerRow[]> {
  const result = await db.query<CustomerRow>(
    `select ${COLUMNS} from customer where environment_id = $1 and id > $2 order by id limit $3`,
    [environmentId, after ?? 0n, limit],
  );
  return result.rows;
}

export async function findCustomer(
  db: Queryable,
  environmentId: number,
  externalId: string,
): Promise<CustomerRow | undefined> {
  const result = await db.query<CustomerRow>(
    `select ${COLUMNS} from customer where environment_id = $1 and external_id = $2`,
    [environmentId, externalId],
  );
  return result.rows[0];
}

/** Creates a confirmed customer; `undefined` when there is one of that id. */
export async function insertCustomer(
  db: Queryable,
  environmentId: number,
  externalId: string,
  spec: CustomerSpec,
): Promise<CustomerRow | undefined> {
  const result = await db.query<CustomerRow>(
    `insert into customer (environment_id, external_id, is_provisional, name, time_zone, rate_card, metadata)
     values ($1, $2, false, $3, $4, $5, $6::jsonb) on conflict do nothing returning ${COLUMNS}`,
    [environmentId, externalId, spec.name, spec.timeZone, spec.rateCard, JSON.stringify(spec.metadata)],
  );
  return result.rows[0];
}

export async function updateCustomer(
  db: Queryable,
  environmentId: number,
  externalId: string,
  spec: CustomerSpec,
): Promise<CustomerRow> {
  const result = await db.query<CustomerRow>(
    `update customer set name = $3, time_zone = $4, rate_card = $5, metadata = $6::jsonb, is_provisional = false
     where environment_id = $1 and external_id = $2 returning ${COLUMNS}`,
    [environmentId, externalId, spec.name, spec.timeZone, spec.rateCard, JSON.stringify(spec.metadata)],
  );
  const row = result.rows[0];
  if (row === undefined) throw new Error('the customer to update is not there');
  return row;
}

/** The customer of that id, confirmed and with no settings when it was not known. */
export async function findOrCreateCustomer(
  db: Queryable,
  environmentId: number,
  externalId: string,
): Promise<CustomerRow> {
  const known = await findCustomer(db, environmentId, externalId);
  if (known !== undefined) return known;
  const spec = { name: null, timeZone: 'UTC', rateCard: null, metadata: {} };
  const row =
    (await insertCustomer(db, environmentId, externalId, spec)) ?? (await findCustomer(db, environmentId, externalId));
  if (row === undefined) throw new Error('the customer was neither created nor found');
  return row;
}
