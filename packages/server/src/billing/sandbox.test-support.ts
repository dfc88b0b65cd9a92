import { startTestApp, type TestApp } from '../http/test-app.test-support.ts';

/** JSON of an answer: tests read members without declaring them. */
type Json = ReturnType<typeof JSON.parse>;

export type LineShown = readonly [key: string, amount: string, adjusts: number | null];

/** An environment with a clock of its own, and short words for what tests of billing do. */
export type Sandbox = {
  readonly key: string;
  call(method: string, path: string, body?: unknown, status?: number): Promise<Json>;
  moveTo(at: string): Promise<Json>;
  subscribe(body: unknown): Promise<Json>;
  send(...events: readonly object[]): Promise<void>;
  /** Of the subscription `s`; ids of card versions are left out of the keys. */
  lines(number: number): Promise<LineShown[]>;
  /** By number of the period; null while it is open. */
  totals(): Promise<Record<string, string | null>>;
  /** Differences that the audit finds. */
  audit(): Promise<number>;
  card(model: object, key?: string): Promise<void>;
  plan(key: string, spec: object): Promise<void>;
};

let sandboxes = 0;

export async function openSandbox(app: TestApp, now: string): Promise<Sandbox> {
  sandboxes += 1;
  const body = { key: `sandbox-${sandboxes}`, name: 'sandbox', sandbox: true };
  const made = await app.call('POST', '/v1/environments', { body });
  const key: string = made.body.admin_key.key;
  const call: Sandbox['call'] = async (method, path, body, status = 200) => {
    const answer = await app.call(method, path, { key, body });
    if (answer.status !== status) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
    return answer.body;
  };
  const box: Sandbox = {
    key,
    call,
    moveTo: (at) => call('PUT', '/v1/test_clock', { now: at }),
    subscribe: (spec) => call('POST', '/v1/subscriptions', spec, 201),
    async send(...events) {
      const answer = await call('POST', '/v1/events', events);
      if (answer.accepted !== events.length) throw new Error(JSON.stringify(answer));
    },
    async lines(number) {
      const { data } = await call('GET', `/v1/subscriptions/s/periods/${number}/lines`);
      return data.map((line: Json): LineShown => [line.key.replace(/:\d+:/, ':'), line.amount, line.adjusts]);
    },
    async totals() {
      const { data } = await call('GET', '/v1/subscriptions/s/periods');
      return Object.fromEntries(data.map((one: Json) => [one.number, one.total]));
    },
    audit: async () => (await call('POST', '/v1/audit')).difference_count,
    async card(model, card = 'usage') {
      const prices = [{ key: 'calls', meter: 'api_calls', charge_model: model }];
      await call('PUT', `/v1/rate_cards/${card}`, { currency: 'USD', prices });
    },
    async plan(plan, spec) {
      await call('PUT', `/v1/plans/${plan}`, { currency: 'USD', ...spec });
    },
  };
  await box.moveTo(now);
  return box;
}

let calls = 0;

/** An event that is worth `count` of the meter api_calls. */
export function apiCalls(at: string, count: number, more: object = {}): object {
  calls += 1;
  return { id: `call-${calls}`, source: 'test', type: 'api.call', subject: 'acme', time: at, data: { count }, ...more };
}

export function takeBack(target: object, at: string): object {
  const { id } = target as { id: string };
  calls += 1;
  return { id: `void-${calls}`, source: 'test', type: 'event.void', time: at, data: { source: 'test', id } };
}

export { startTestApp, type TestApp };
