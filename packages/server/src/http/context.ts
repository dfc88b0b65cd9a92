import type { Context } from 'hono';
import type { KeyVerifier, Principal, RateLimiter, Scope } from './keys.ts';
import { refuse, ProblemError } from './problem.ts';
import type { Outbound } from '../outbound/index.ts';
import type { PolicyCache } from '../policies/index.ts';
import type { Database } from '../store/database.ts';
import type { HoldDesk, Leases } from '../govern/index.ts';
import type { EnvironmentClocks } from '../store/environment-clock.ts';
import type { GroupCommit } from '../record/group-commit.ts';
import type { ProviderPrices } from '../provider-prices/index.ts';
import type { RecordServices } from '../record/record-services.ts';
import type { ServerMetrics } from './metrics.ts';

/** Everything a route may need; wired once in start-ergon.ts. */
export type AppServices = {
  readonly database: Database;
  readonly groupCommit: GroupCommit;
  readonly holds: HoldDesk;
  /** Admission inside this process. */
  readonly leases: Leases;
  readonly record: RecordServices;
  /** The provider price table, without any environment's own prices. */
  readonly prices: ProviderPrices;
  readonly keys: KeyVerifier;
  readonly rateLimiter: RateLimiter;
  readonly metrics: ServerMetrics;
  readonly outbound: Outbound;
  /** What this process remembers of the policies. */
  readonly policies: PolicyCache;
  /** The machine's clock, microseconds since 1970. */
  readonly now: () => number;
  /** The time of an environment: a sandbox may have stopped its clock. */
  readonly clocks: EnvironmentClocks;
  readonly lateDays: number;
  readonly version: string;
  /** Whether the database answers and its schema is this build's. */
  readonly readiness: () => Promise<{ readonly ready: boolean; readonly reason?: string }>;
  readonly logError: (error: unknown, requestId: string) => void;
};

export type AppEnv = { Variables: { requestId: string; principal: Principal } };
export type AppContext = Context<AppEnv>;

/** Vendors' SDKs send their key under their own name; each is a bearer key here. */
const KEY_HEADERS = ['x-api-key', 'x-goog-api-key', 'api-key'] as const;

/** The caller, with the scope, within its rate limit; anything else ends the request with a problem. */
export async function authorise(services: AppServices, headers: Headers, scope: Scope): Promise<Principal> {
  const text = presentedKey(headers);
  if (text === undefined) throw refuse('unauthenticated', 'send a key: Authorization: Bearer ergon_…');
  const principal = await services.keys.verify(text);
  if (principal === undefined) throw refuse('unauthenticated', 'the key is unknown, expired or revoked');
  if (!principal.scopes.has(scope)) {
    throw refuse('forbidden', `this key has the role ${principal.role}; the request needs the scope ${scope}`);
  }
  if (principal.requestsPerMinute !== null) {
    const wait = services.rateLimiter.take(principal.keyId, principal.requestsPerMinute, services.now() / 1000);
    if (wait > 0) {
      throw new ProblemError({
        code: 'rate_limited',
        detail: `this key may make ${principal.requestsPerMinute} requests a minute`,
        retryAfterSeconds: wait,
      });
    }
  }
  return principal;
}

function presentedKey(headers: Headers): string | undefined {
  const authorization = headers.get('authorization');
  if (authorization !== null) {
    const key = /^bearer +(\S+) *$/i.exec(authorization)?.[1];
    if (key !== undefined) return key;
  }
  for (const name of KEY_HEADERS) {
    const key = headers.get(name);
    if (key !== null) return key;
  }
  return undefined;
}
