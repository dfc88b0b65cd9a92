import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkLedger } from '../audit/check-ledger.ts';
import { Differences } from '../audit/differences.ts';
import { startTestApp, type TestApp } from '../http/test-app.test-support.ts';
import { expireGrants, watchWallets } from './index.ts';

let server: TestApp;
beforeAll(async () => {
  server = await startTestApp();
  const prices = [{ meter: 'output_tokens', charge_model: { type: 'per_unit', unit_amount: '1' } }];
  const put = await server.call('PUT', '/v1/rate_cards/default', { body: { currency: 'USD', prices } });
  if (put.status !== 200) throw new Error(put.text);
});
afterAll(async () => {
  await server.stop();
});

type Command =
  | { readonly kind: 'grant'; readonly amount: number; readonly hours: number | null }
  | { readonly kind: 'spend'; readonly amount: number }
  | { readonly kind: 'watch' | 'expire' | 'pay' | 'fail' | 'void' }
  | { readonly kind: 'wait'; readonly hours: number };

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('grant' as const),
      amount: fc.integer({ min: 1, max: 30 }),
      hours: fc.constantFrom(null, 1, 3),
    }),
  },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('spend' as const), amount: fc.integer({ min: 1, max: 25 }) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom('watch' as const, 'expire' as const, 'pay' as const, 'fail' as const, 'void' as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('wait' as const), hours: fc.constantFrom(1, 2) }) },
);

const THRESHOLD = 10;
const TOP_UP = 20;
const HOUR_MS = 3_600_000;

/** A wallet of one customer as a few numbers: the reference that the service is held to. */
class Model {
  readonly grants: { left: number; endsAt: number; isVoided: boolean }[] = [];
  hour = 0;
  owed = 0;
  isPending = false;
  lastAskedAt = Number.NEGATIVE_INFINITY;

  open() {
    return this.grants.filter((one) => !one.isVoided && one.endsAt > this.hour);
  }
  available(): number {
    return this.open().reduce((sum, one) => sum + one.left, 0);
  }
  spend(amount: number): void {
    let left = amount;
    for (const grant of this.open().toSorted((a, b) => a.endsAt - b.endsAt)) {
      const taken = Math.min(grant.left, left);
      grant.left -= taken;
      left -= taken;
    }
    this.owed += left;
  }
  watch(): void {
    if (this.available() >= THRESHOLD || this.isPending || this.hour === this.lastAskedAt) return;
    this.isPending = true;
    this.lastAskedAt = this.hour;
  }
}

let customers = 0;

test('any sequence of grants, spending, top-ups, expiry and voids: books true, balances as the model, one top-up at a time', {
  timeout: 60_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 5, maxLength: 25 }), async (commands) => {
      customers += 1;
      server.clock.offsetMs = 0;
      const run = new Run(`c${customers}`);
      await run.begin();
      for (const [index, one] of commands.entries()) {
        await run.apply(one, index);
        await run.compare();
      }
    }),
    { numRuns: 25 },
  );
  const differences = new Differences();
  await server.database.transaction((client) => checkLedger(client, 1, differences));
  expect(differences.listed).toEqual([]);
  expect(server.errors).toEqual([]);
});

class Run {
  readonly model = new Model();
  readonly customer: string;
  readonly path: string;
  readonly ids: string[] = [];
  constructor(customer: string) {
    this.customer = customer;
    this.path = `/v1/customers/${customer}/wallets/default`;
  }

  async begin(): Promise<void> {
    await this.call('PUT', this.path, { currency: 'USD' });
    const rule = { amount: String(TOP_UP), threshold: String(THRESHOLD), cooldown_seconds: 1_800 };
    await this.call('PUT', `${this.path}/auto_top_up`, rule);
  }

  async call(method: string, path: string, body?: unknown) {
    const answer = await server.call(method, path, body === undefined ? {} : { body });
    expect(answer.status, `${method} ${path}: ${answer.text}`).toBeLessThan(300);
    return answer.body;
  }

  async apply(one: Command, index: number): Promise<void> {
    const { model, path } = this;
    const now = server.services.now();
    if (one.kind === 'grant') {
      const ends = one.hours === null ? null : new Date(now / 1000 + one.hours * HOUR_MS).toISOString();
      const grant = await this.call('POST', `${path}/grants`, {
        amount: String(one.amount),
        currency: 'USD',
        expires_at: ends,
      });
      this.ids.push(grant.id);
      model.grants.push({
        left: one.amount,
        endsAt: one.hours === null ? Infinity : model.hour + one.hours,
        isVoided: false,
      });
    } else if (one.kind === 'spend') {
      const data = { model: 'm', status: 'ok', tokens: { output: one.amount } };
      const event = { id: `${this.customer}-${index}`, source: 't', type: 'llm.call', subject: this.customer, data };
      expect(await this.call('POST', '/v1/events', event)).toMatchObject({ accepted: 1 });
      model.spend(one.amount);
    } else if (one.kind === 'wait') {
      server.clock.offsetMs += one.hours * HOUR_MS;
      model.hour += one.hours;
    } else if (one.kind === 'watch') {
      await Promise.all([watchWallets(server.database, now), watchWallets(server.database, now)]);
      model.watch();
    } else if (one.kind === 'expire') await expireGrants(server.database, now);
    else if (one.kind === 'void') await this.voidNewest();
    else await this.answer(one.kind);
  }

  async voidNewest(): Promise<void> {
    const grant = this.model.grants.at(-1);
    const id = this.ids.at(-1);
    if (grant === undefined || id === undefined || grant.isVoided) return;
    await this.call('DELETE', `${this.path}/grants/${id}`);
    grant.isVoided = true;
  }

  async answer(kind: 'pay' | 'fail'): Promise<void> {
    const pending = (await this.topUps()).find(({ status }) => status === 'pending');
    expect(pending !== undefined).toBe(this.model.isPending);
    if (pending === undefined) return;
    const answer = await this.call(
      'POST',
      `${this.path}/top_ups/${pending.id}/${kind === 'pay' ? 'paid' : 'failed'}`,
      {},
    );
    this.model.isPending = false;
    if (kind === 'fail') return;
    this.ids.push(answer.grant);
    this.model.grants.push({ left: TOP_UP, endsAt: Infinity, isVoided: false });
  }

  async topUps(): Promise<{ id: string; status: string }[]> {
    return (await this.call('GET', `${this.path}/top_ups`)).data;
  }

  async compare(): Promise<void> {
    const { model } = this;
    expect(await this.call('GET', this.path)).toMatchObject({
      available: String(model.available()),
      receivable: String(model.owed),
      incoming: model.isPending ? String(TOP_UP) : '0',
    });
  }
}
