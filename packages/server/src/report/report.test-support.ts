import { seedCustomers, seedEnvironment, seedKey } from '../../bench/support/seed.ts';
import { type IngestAnswer, sendEvents, type TestErgon } from '../../../../tests/support/ergon.ts';
import type { RunningErgon } from '../start-ergon.ts';

/** One environment of a running service, spoken to as a client speaks to it. */
export type Tenant = {
  readonly id: number;
  get(path: string): Promise<{ readonly status: number; readonly text: string }>;
  /** The answer to a request that must succeed. */
  read<T>(path: string): Promise<T>;
  put(path: string, body: unknown): Promise<void>;
  tryPut(path: string, body: unknown): Promise<{ readonly status: number; readonly text: string }>;
  post(path: string, body: unknown): Promise<{ readonly status: number; readonly text: string }>;
  /** Differences that an audit of the environment finds. */
  audit(): Promise<readonly unknown[]>;
  send(events: readonly unknown[]): Promise<IngestAnswer>;
  /** A body that no JSON.stringify would write. */
  sendText(body: string): Promise<void>;
};

let made = 0;

export async function newTenant(ergon: TestErgon, customers: readonly string[] = []): Promise<Tenant> {
  made += 1;
  const id = await seedEnvironment(ergon.sql, `report-${made}`);
  const key = await seedKey(ergon.sql, id);
  if (customers.length > 0) await seedCustomers(ergon.sql, id, customers);
  const service = serviceOf(ergon);
  const ask = async (path: string, init: RequestInit = {}) => {
    const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
    const response = await service.fetch(new Request(`http://test${path}`, { ...init, headers }));
    return { status: response.status, text: await response.text() };
  };
  const must = async (path: string, init?: RequestInit) => {
    const { status, text } = await ask(path, init);
    if (status !== 200) throw new Error(`${path} answered ${status}: ${text}`);
    return text;
  };
  return {
    id,
    get: (path) => ask(path),
    read: async <T>(path: string) => JSON.parse(await must(path)) as T,
    put: async (path, body) => {
      await must(path, { method: 'PUT', body: JSON.stringify(body) });
    },
    tryPut: (path, body) => ask(path, { method: 'PUT', body: JSON.stringify(body) }),
    post: (path, body) => ask(path, { method: 'POST', body: JSON.stringify(body) }),
    audit: async () => {
      const report = JSON.parse(await must('/v1/audit', { method: 'POST' })) as { differences: readonly unknown[] };
      return report.differences;
    },
    sendText: async (body) => {
      await must('/v1/events', { method: 'POST', body });
    },
    send: (events) => sendEvents(service, key, events),
  };
}

function serviceOf(ergon: TestErgon): RunningErgon {
  const [service] = ergon.replicas;
  if (service === undefined) throw new Error('no service runs');
  return service;
}

export type UsageRows = readonly {
  readonly window_start: string;
  readonly group: Readonly<Record<string, string | null>>;
  readonly value: string;
}[];

/** Rows of GET /v1/usage. */
export async function usage(tenant: Tenant, query: Readonly<Record<string, string>>): Promise<UsageRows> {
  const answer = await tenant.read<{ rows: UsageRows }>(`/v1/usage?${new URLSearchParams(query).toString()}`);
  return answer.rows;
}

/** An llm.call with canonical token classes. */
export function llmCall(id: string, time: string, members: Readonly<Record<string, unknown>> = {}, subject = 'acme') {
  return {
    id,
    source: 'test',
    type: 'llm.call',
    subject,
    time,
    data: { provider: 'openai', model: 'gpt-5', ...members },
  };
}
