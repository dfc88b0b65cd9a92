import type { Client, Database } from '../../store/database.ts';
import { recordAction } from '../../store/audit-log.ts';
import { keyParts, newKey } from '../keys.ts';
import { DEFAULT_ENVIRONMENT } from './environment-routes.ts';

/**
 * Makes sure that the default environment has an admin key. A text given by the operator becomes one, whatever became of it
 * before: the operator's configuration is the last word. Without a text one is made, unless an admin key is in force.
 *
 * @returns the text of a key made by this call, to be shown once; `undefined` otherwise.
 * @throws RangeError when `text` cannot be a key.
 */
export async function bootstrapAdminKey(database: Database, text?: string): Promise<string | undefined> {
  const given = text === undefined ? undefined : keyParts(text);
  if (text !== undefined && given === undefined) {
    throw new RangeError('the API key must have 16 to 256 printable ASCII characters, without spaces');
  }
  return database.transaction(async (client) => {
    // Replicas that start together take turns here.
    const found = await client.query<{ id: number }>('select id from environment where key = $1 for update', [
      DEFAULT_ENVIRONMENT,
    ]);
    const environmentId = found.rows[0]?.id;
    if (environmentId === undefined) throw new Error('the default environment is missing');
    if (given !== undefined) {
      await putOperatorKey(client, environmentId, given);
      return undefined;
    }
    const admin = await client.query(
      `select from api_key where environment_id = $1 and role = 'admin' and revoked_at is null
         and (expires_at is null or expires_at > now()) limit 1`,
      [environmentId],
    );
    if (admin.rowCount === 1) return undefined;
    const made = newKey();
    await putOperatorKey(client, environmentId, made);
    return made.text;
  });
}

async function putOperatorKey(
  client: Client,
  environmentId: number,
  key: { id: string; secretHash: Buffer },
): Promise<void> {
  const result = await client.query(
    `insert into api_key as k (environment_id, id, name, role, secret_hash) values ($1, $2, 'operator', 'admin', $3)
     on conflict (environment_id, id) do update
       set role = 'admin', secret_hash = excluded.secret_hash, revoked_at = null, expires_at = null
       where (k.role, k.secret_hash) is distinct from ('admin', excluded.secret_hash)
         or k.revoked_at is not null or k.expires_at is not null`,
    [environmentId, key.id, key.secretHash],
  );
  if (result.rowCount === 0) return;
  await recordAction(client, { environmentId, actor: 'system', action: 'key.bootstrap', target: `/v1/keys/${key.id}` });
}
