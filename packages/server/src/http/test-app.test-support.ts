import { createTestDatabase } from '../../../../tests/support/test-database.ts';
import { loadProviderPrices, type ProviderPrices } from '../provider-prices/index.ts';
import { HoldDesk, Leases } from '../govern/index.ts';
import type { PolicyCache } from '../policies/index.ts';
import { GroupCommit } from '../record/group-commit.ts';
import { recordServices } from '../record/services.ts';
import { type Database, openDatabase } from '../store/database.ts';
import { EnvironmentClocks } from '../store/environment-clock.ts';
import { addressGuard, createOutbound } from '../outbound/index.ts';
import { bootstrapAdminKey } from './access/bootstrap-admin-key.ts';
import { createApp } from './app.ts';
import type { AppServices } from './context.ts';
import { KeyVerifier, RateLimiter } from './keys.ts';
import { serverMetrics } from './metrics.ts';
import type { App } from './operation.ts';

export type TestApp = {
  readonly app: App;
  readonly database: Database;
  readonly services: AppServices;
  /** An admin key of the environment `default`. */
  readonly adminKey: string;
  /** Moves the service's clock. */
  readonly clock: { offsetMs: number };
  /** What went to the log as an error: a test that expects none says so. */
  readonly errors: unknown[];
  call(method: string, path: string, options?: CallOptions): Promise<Answer>;
  /** Creates an environment. @returns its admin key. */
  environment(key: string): Promise<string>;
  /** Creates a key in the environment of `options.key`. @returns its text. */
  key(body: Readonly<Record<string, unknown>>, options?: CallOptions): Promise<string>;
  stop(): Promise<void>;
};

export type CallOptions = {
  /** Default the admin key; null for none. */
  readonly key?: string | null;
  readonly body?: unknown;
  /** Sent as it is, instead of `body`. */
  readonly raw?: string | Uint8Array<ArrayBuffer>;
  readonly headers?: Readonly<Record<string, string>>;
};

export type Answer = { readonly status: number; readonly headers: Headers; readonly text: string; readonly body: Json };
/** Whatever JSON holds: tests read members without declaring them. */
type Json = ReturnType<typeof JSON.parse>;

/** The whole app on a database of its own, called without a socket. */
export async function startTestApp(): Promise<TestApp> {
  const testDatabase = await createTestDatabase();
  const database = openDatabase({ connection: testDatabase.connection, connectionsMax: 8 }, () => undefined);
  const adminKey = await bootstrapAdminKey(database);
  if (adminKey === undefined) throw new Error('a fresh database had an admin key');
  const errors: unknown[] = [];
  const clock = { offsetMs: 0 };
  const services = wire(database, await loadProviderPrices(), clock, errors);
  const app = createApp(services);
  const call: TestApp['call'] = async (method, path, options = {}) => {
    const response = await app.request(path, { method, ...requestOf(options, adminKey) });
    const text = await response.text();
    const isJson = text !== '' && /[/+]json/.test(response.headers.get('content-type') ?? '');
    return { status: response.status, headers: response.headers, text, body: isJson ? JSON.parse(text) : null };
  };
  return {
    app,
    database,
    services,
    adminKey,
    clock,
    errors,
    call,
    async environment(key) {
      const answer = await call('POST', '/v1/environments', { body: { key, name: key } });
      return created(answer).admin_key.key;
    },
    async key(body, options = {}) {
      const answer = await call('POST', '/v1/keys', { ...options, body });
      return created(answer).key;
    },
    async stop() {
      await services.leases.stop();
      await services.groupCommit.close();
      await database.close();
      await testDatabase.drop();
    },
  };
}

function created(answer: Answer): Json {
  if (answer.status !== 201) throw new Error(`expected 201: ${answer.text}`);
  return answer.body;
}

function requestOf(options: CallOptions, adminKey: string): RequestInit {
  const key = options.key === undefined ? adminKey : options.key;
  const body = options.raw ?? (options.body === undefined ? undefined : JSON.stringify(options.body));
  return {
    headers: {
      ...(key !== null && { authorization: `Bearer ${key}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...options.headers,
    },
    ...(body !== undefined && { body }),
  };
}

function wire(database: Database, prices: ProviderPrices, clock: { offsetMs: number }, errors: unknown[]): AppServices {
  const now = (): number => (Date.now() + clock.offsetMs) * 1000;
  const clocks = new EnvironmentClocks(now);
  const record = recordServices(database, () => undefined);
  const holds = new HoldDesk(database, (environmentId) => clocks.now(environmentId));
  const policies: PolicyCache = new Map();
  const logError = (error: unknown): unknown => errors.push(error);
  return {
    database,
    record,
    prices,
    groupCommit: new GroupCommit(database, record, {
      lanes: 2,
      now: (environmentId) => clocks.now(environmentId),
      onGroup: () => undefined,
      onFailure: (error) => errors.push(error),
    }),
    holds,
    leases: new Leases({ database, holds, record, policies, clocks, logError }),
    keys: new KeyVerifier(database, now),
    rateLimiter: new RateLimiter(),
    metrics: serverMetrics(),
    outbound: createOutbound(addressGuard(['127.0.0.1', 'localhost'])),
    policies,
    now,
    clocks,
    lateDays: 35,
    version: '0.0.0-test',
    readiness: async () => ({ ready: true }),
    logError,
  };
}
