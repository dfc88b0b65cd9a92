import type { Queryable } from '../../store/database.ts';
import type { Role } from '../keys.ts';

export type KeyRow = {
  id: string;
  name: string;
  role: Role;
  scopes: string[];
  requests_per_minute: number | null;
  created_at: string;
  expires_at: string | null;
  revoked_at: string | null;
  rotated_from: string | null;
};

export type KeySpec = {
  readonly name: string;
  readonly role: Role;
  readonly scopes: readonly string[];
  readonly expiresAt: string | null;
  readonly requestsPerMinute: number | null;
  readonly rotatedFrom: string | null;
};

const COLUMNS = 'id, name, role, scopes, requests_per_minute, created_at, expires_at, revoked_at, rotated_from';

/** Newest first. */
export async function listKeys(
  db: Queryable,
  environmentId: number,
  before: string | undefined,
  limit: number,
): Promise<KeyRow[]> {
  const result = await db.query<KeyRow>(
    `select ${COLUMNS} from api_key k where environment_id = $1
       and ($2::text is null or (created_at, id) < (
         select o.created_at, o.id from api_key o where o.environment_id = $1 and o.id = $2))
     order by created_at desc, id desc limit $3`,
    [environmentId, before ?? null, limit],
  );
  return result.rows;
}

/** The key, locked until the transaction ends. */
export async function lockKey(db: Queryable, environmentId: number, id: string): Promise<KeyRow | undefined> {
  const result = await db.query<KeyRow>(
    `select ${COLUMNS} from api_key where environment_id = $1 and id = $2 for update`,
    [environmentId, id],
  );
  return result.rows[0];
}

export async function insertKey(
  db: Queryable,
  environmentId: number,
  key: { id: string; secretHash: Buffer },
  spec: KeySpec,
): Promise<KeyRow> {
  const result = await db.query<KeyRow>(
    `insert into api_key (environment_id, id, name, role, scopes, secret_hash, requests_per_minute, expires_at, rotated_from)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9) returning ${COLUMNS}`,
    [
      environmentId,
      key.id,
      spec.name,
      spec.role,
      spec.scopes,
      key.secretHash,
      spec.requestsPerMinute,
      spec.expiresAt,
      spec.rotatedFrom,
    ],
  );
  const row = result.rows[0];
  if (row === undefined) throw new Error('the key was not inserted');
  return row;
}

/** Lets the key stop working after so many seconds, or sooner when that was set before. */
export async function revokeKey(db: Queryable, environmentId: number, id: string, afterSeconds: number): Promise<void> {
  await db.query(
    `update api_key set revoked_at = least(revoked_at, now() + make_interval(secs => $3))
     where environment_id = $1 and id = $2`,
    [environmentId, id, afterSeconds],
  );
}

/**
 * Whether another admin key stays for good. Locks the environment's admin keys first, so that two of them cannot take each
 * other away.
 */
export async function hasOtherAdmin(db: Queryable, environmentId: number, id: string): Promise<boolean> {
  const result = await db.query<{ id: string }>(
    `select id from api_key where environment_id = $1 and role = 'admin' and revoked_at is null
       and (expires_at is null or expires_at > now()) order by id for update`,
    [environmentId],
  );
  return result.rows.some((row) => row.id !== id);
}
