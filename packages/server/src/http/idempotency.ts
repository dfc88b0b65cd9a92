import { createHash } from 'node:crypto';
import type { Client, Database } from '../store/database.ts';
import { refuse } from './problem.ts';

/** How long a first answer is kept. Grants keep their key for ever (credit_grant.idempotency_key). */
const KEPT_DAYS = 30;

export type StoredAnswer = { readonly status: number; readonly body: string };

/** The `Idempotency-Key` of a request; `undefined` when it sent none. */
export function idempotencyKey(headers: Headers): string | undefined {
  const key = headers.get('idempotency-key');
  if (key === null) return undefined;
  if (/^[\u0021-\u007e]{1,255}$/.test(key)) return key;
  throw refuse('invalid_request', 'the Idempotency-Key is not usable', [
    { header: 'Idempotency-Key', detail: 'must be 1 to 255 printable ASCII characters without spaces' },
  ]);
}

/** What makes two requests the same: method, path with its query, and body, byte for byte. */
export function requestHash(method: string, path: string, body: Buffer): Buffer {
  return createHash('sha256').update(`${method} ${path}\n`).update(body).digest();
}

/**
 * Takes the key for this transaction, or gives the answer of the request that took it before. A request under way with the
 * same key is waited for.
 *
 * @throws a problem when the key was used for another request.
 */
export async function claimKey(
  client: Client,
  environmentId: number,
  key: string,
  hash: Buffer,
): Promise<StoredAnswer | undefined> {
  const claimed = await client.query(
    'insert into idempotency_key (environment_id, key, request_hash) values ($1, $2, $3) on conflict do nothing',
    [environmentId, key, hash],
  );
  if (claimed.rowCount === 1) return undefined;
  const result = await client.query<{ request_hash: Buffer; status: number | null; answer: string | null }>(
    'select request_hash, status, answer from idempotency_key where environment_id = $1 and key = $2',
    [environmentId, key],
  );
  const first = result.rows[0];
  if (first === undefined || !first.request_hash.equals(hash)) {
    throw refuse('conflict', 'this Idempotency-Key was used for another request', [
      { header: 'Idempotency-Key', detail: 'used before with another method, path or body', remedy: 'use a new key' },
    ]);
  }
  return { status: first.status ?? 200, body: first.answer ?? '' };
}

export async function keepAnswer(
  client: Client,
  environmentId: number,
  key: string,
  answer: StoredAnswer,
): Promise<void> {
  await client.query('update idempotency_key set status = $3, answer = $4 where environment_id = $1 and key = $2', [
    environmentId,
    key,
    answer.status,
    answer.body,
  ]);
}

/** Forgets answers older than 30 days. Run it now and then, on any replica. @returns how many were forgotten. */
export async function forgetAnswers(database: Database): Promise<number> {
  const result = await database.pool.query(
    'delete from idempotency_key where created_at < now() - make_interval(days => $1)',
    [KEPT_DAYS],
  );
  return result.rowCount ?? 0;
}
