import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import { microsFromPostgres } from '../event/instant.ts';
import { LIMITS } from '../limits.ts';
import { type Database, isConnectionLost, StoreSilent, withinMs } from '../store/database.ts';

export const ROLES = ['admin', 'billing', 'read', 'ingest'] as const;
export type Role = (typeof ROLES)[number];

/** What a key may do. A role is a set of scopes; a key may be given more by name. */
export const SCOPES = [
  'events:write',
  'events:backfill',
  'events:void',
  'usage:read',
  'billing:read',
  'billing:write',
  'holds:write',
  'catalog:read',
  'catalog:write',
  'webhooks:write',
  'keys:write',
  'audit:read',
] as const;
export type Scope = (typeof SCOPES)[number];

const ROLE_SCOPES: Readonly<Record<Role, readonly Scope[]>> = {
  admin: SCOPES,
  billing: [
    'usage:read',
    'billing:read',
    'billing:write',
    'holds:write',
    'catalog:read',
    'catalog:write',
    'events:void',
    'webhooks:write',
    'audit:read',
  ],
  read: ['usage:read', 'billing:read', 'catalog:read'],
  ingest: ['events:write', 'holds:write'],
};

/** Who is asking, and for which environment. */
export type Principal = {
  readonly keyId: string;
  readonly environmentId: number;
  readonly role: Role;
  readonly scopes: ReadonlySet<Scope>;
  readonly requestsPerMinute: number | null;
};

/** `ergon_<id>_<secret>`: the id finds the row, the secret proves the bearer. 128 and 256 random bits. */
const KEY = /^ergon_([0-9a-f]{16})_([A-Za-z0-9_-]{43})$/;

export type NewKey = { readonly id: string; readonly text: string; readonly secretHash: Buffer };

export function newKey(): NewKey {
  const id = randomBytes(8).toString('hex');
  const secret = randomBytes(32).toString('base64url');
  return { id, text: `ergon_${id}_${secret}`, secretHash: hashSecret(secret) };
}

/** The secret is 256 random bits, so a plain SHA-256 keeps it: there is no dictionary to try. */
function hashSecret(secret: string): Buffer {
  return hash('sha256', secret, 'buffer');
}

/** A key of the operator's own making (ERGON_API_KEY): what a header can carry, long enough not to be guessed. */
const OPERATOR_KEY = /^[\u0021-\u007e]{16,256}$/;

/**
 * What finds and proves a key; `undefined` when the text can be none. A key of another form than ours is found by an id
 * derived from it. Ids are shown to people, so this one has 32 bits only: too few to test guesses of a weak key against.
 */
export function keyParts(text: string): { id: string; secretHash: Buffer } | undefined {
  const [, id, secret] = KEY.exec(text) ?? [];
  if (id !== undefined && secret !== undefined) return { id, secretHash: hashSecret(secret) };
  if (!OPERATOR_KEY.test(text)) return undefined;
  const derived = hash('sha256', `ergon key id ${text}`, 'hex').slice(0, 8);
  return { id: `op_${derived}`, secretHash: hashSecret(text) };
}

/** Everything a key of the role may do, with what it was given beside. */
export function scopesOf(role: Role, extra: readonly string[]): ReadonlySet<Scope> {
  return new Set([...ROLE_SCOPES[role], ...SCOPES.filter((scope) => extra.includes(scope))]);
}

/** How long a verified key is believed before it is read again: a revocation in another process takes at most this long. */
const BELIEVED_MS = 2_000;
const KEYS_CACHED_MAX = 10_000;

type Known = {
  readonly principal: Principal;
  readonly secretHash: Buffer;
  readonly expiresAt: number | null;
  readonly readAt: number;
};

type Row = {
  environment_id: number;
  role: Role;
  scopes: string[];
  secret_hash: Buffer;
  expires_at: string | null;
  requests_per_minute: number | null;
};

/** After a reading that failed or came too late, keys are believed for so long before the database is asked again. */
const UNREAD_PAUSE_MS = 1_000;

/** Verifies keys against the database, remembering each for two seconds; longer while the database does not answer. */
export class KeyVerifier {
  readonly #database: Database;
  readonly #now: () => number;
  readonly #known = new Map<string, Known>();
  #unreadAtMs = -Infinity;

  constructor(database: Database, now: () => number) {
    this.#database = database;
    this.#now = now;
  }

  async verify(text: string): Promise<Principal | undefined> {
    const parts = keyParts(text);
    if (parts === undefined) return undefined;
    const nowMs = this.#now() / 1000;
    let known = this.#known.get(parts.id);
    if (known === undefined || Math.abs(nowMs - known.readAt) > BELIEVED_MS) {
      known = await this.#readOrBelieve(parts.id, known, nowMs);
      if (known === undefined) {
        this.#known.delete(parts.id);
        return undefined;
      }
      if (this.#known.size >= KEYS_CACHED_MAX) this.#known.clear();
      this.#known.set(parts.id, known);
    }
    if (known.expiresAt !== null && known.expiresAt <= this.#now()) return undefined;
    return timingSafeEqual(known.secretHash, parts.secretHash) ? known.principal : undefined;
  }

  /** Where the database does not answer, what was read before is believed a while: budgets may admit without it. */
  async #readOrBelieve(id: string, known: Known | undefined, nowMs: number): Promise<Known | undefined> {
    if (known === undefined || nowMs - known.readAt > LIMITS.keyBelievedWithoutStoreMs) return this.#read(id, nowMs);
    if (Math.abs(nowMs - this.#unreadAtMs) < UNREAD_PAUSE_MS) return known;
    try {
      return await withinMs(LIMITS.storeAnswerMs, this.#read(id, nowMs));
    } catch (error) {
      if (!(error instanceof StoreSilent) && !isConnectionLost(error)) throw error;
      this.#unreadAtMs = this.#now() / 1000;
      return known;
    }
  }

  forget(id: string): void {
    this.#known.delete(id);
  }

  async #read(id: string, readAt: number): Promise<Known | undefined> {
    const result = await this.#database.pool.query<Row>({
      name: 'api_key',
      text: `select environment_id, role, scopes, secret_hash, expires_at, requests_per_minute
        from api_key where id = $1 and (revoked_at is null or revoked_at > now())`,
      values: [id],
    });
    const row = result.rows[0];
    if (row === undefined) return undefined;
    return {
      principal: {
        keyId: id,
        environmentId: row.environment_id,
        role: row.role,
        scopes: scopesOf(row.role, row.scopes),
        requestsPerMinute: row.requests_per_minute,
      },
      secretHash: row.secret_hash,
      expiresAt: row.expires_at === null ? null : microsFromPostgres(row.expires_at),
      readAt,
    };
  }
}

/** Token bucket per key: `requests_per_minute` on average, a tenth of that in one burst (at least ten). */
export class RateLimiter {
  readonly #buckets = new Map<string, { tokens: number; at: number }>();

  /** Seconds to wait, or 0 when the request may go on. */
  take(keyId: string, perMinute: number, nowMs: number): number {
    const capacity = Math.max(10, perMinute / 10);
    const perMs = perMinute / 60_000;
    if (this.#buckets.size > KEYS_CACHED_MAX) this.#buckets.clear();
    const bucket = this.#buckets.get(keyId) ?? { tokens: capacity, at: nowMs };
    // A clock that is set back takes nothing away.
    bucket.tokens = Math.min(capacity, bucket.tokens + Math.max(0, nowMs - bucket.at) * perMs);
    bucket.at = nowMs;
    this.#buckets.set(keyId, bucket);
    if (bucket.tokens >= 1) {
      bucket.tokens -= 1;
      return 0;
    }
    return Math.max(1, Math.ceil((1 - bucket.tokens) / perMs / 1000));
  }
}
