import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestApp, type TestApp } from '../http/test-app.test-support.ts';
import { expireHolds } from './expire-holds.ts';

/**
 * DESIGN section 7, invariants 4 and 9: for any interleaving of holds, settlements by amount and by event, releases, expiries and
 * unheld usage, the service does what this small model says, and nothing is admitted that does not fit.
 */
let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.stop());

const LIMIT = 30;
const GRANT = 40;

type Above = 'overage' | 'cap' | 'refuse';
type Command =
  | { readonly type: 'hold'; readonly id: string; readonly amount: number; readonly above: Above }
  | { readonly type: 'settle'; readonly id: string; readonly amount: number }
  | { readonly type: 'release'; readonly id: string }
  | { readonly type: 'expire' }
  | { readonly type: 'event'; readonly hold: string | undefined; readonly amount: number };

type ModelHold = {
  readonly amount: number;
  readonly above: Above;
  status: 'pending' | 'settled' | 'released' | 'expired';
  settledAt: number | undefined;
  byEvent: boolean;
  fromGrant: number;
  owed: number;
};

class Model {
  readonly holds = new Map<string, ModelHold>();
  committed = 0;
  held = 0;
  grant = GRANT;
  receivable = 0;

  run(command: Command): number {
    switch (command.type) {
      case 'hold':
        return this.#hold(command.id, command.amount, command.above);
      case 'settle':
        return this.#settle(command.id, command.amount);
      case 'release':
        return this.#release(command.id);
      case 'expire':
        for (const hold of this.holds.values()) if (hold.status === 'pending') this.#free(hold, 'expired');
        return 200;
      case 'event':
        return this.#event(command.hold, command.amount);
    }
  }

  #hold(id: string, amount: number, above: Above): number {
    const known = this.holds.get(id);
    if (known !== undefined) return known.amount === amount && known.above === above ? 201 : 409;
    if (this.committed + this.held + amount > LIMIT || amount > this.grant) return 402;
    this.holds.set(id, {
      amount,
      above,
      status: 'pending',
      settledAt: undefined,
      byEvent: false,
      fromGrant: 0,
      owed: 0,
    });
    this.held += amount;
    this.grant -= amount;
    return 201;
  }

  #free(hold: ModelHold, status: 'released' | 'expired' | 'settled'): void {
    this.held -= hold.amount;
    this.grant += hold.amount;
    hold.status = status;
  }

  #pay(amount: number): { fromGrant: number; owed: number } {
    const fromGrant = Math.min(amount, this.grant);
    this.grant -= fromGrant;
    this.receivable += amount - fromGrant;
    return { fromGrant, owed: amount - fromGrant };
  }

  #settle(id: string, amount: number): number {
    const hold = this.holds.get(id);
    if (hold === undefined) return 404;
    // The same settlement sent again is answered like the first, also when the hold's event came in between: it is a retry.
    if (hold.status === 'settled') return hold.settledAt === amount ? 200 : 409;
    let actual = amount;
    if (hold.status === 'pending') {
      if (amount > hold.amount && hold.above === 'refuse') return 409;
      if (amount > hold.amount && hold.above === 'cap') actual = hold.amount;
      this.#free(hold, 'settled');
    }
    hold.status = 'settled';
    hold.settledAt = amount;
    this.committed += actual;
    Object.assign(hold, this.#pay(actual));
    return 200;
  }

  #release(id: string): number {
    const hold = this.holds.get(id);
    if (hold === undefined) return 404;
    if (hold.status === 'released') return 200;
    if (hold.status !== 'pending') return 409;
    this.#free(hold, 'released');
    return 200;
  }

  #event(id: string | undefined, amount: number): number {
    const hold = id === undefined ? undefined : this.holds.get(id);
    if (hold !== undefined && !hold.byEvent) {
      if (hold.status === 'pending') this.#free(hold, 'settled');
      // What it was settled at is taken back: only the event's own charge stays.
      this.grant += hold.fromGrant;
      this.receivable -= hold.owed;
      this.committed -= hold.fromGrant + hold.owed;
      Object.assign(hold, { status: 'settled', byEvent: true, fromGrant: 0, owed: 0 });
    }
    this.committed += amount;
    this.#pay(amount);
    return 200;
  }
}

const id = fc.constantFrom('a', 'b', 'c', 'd');
// Two amounts that come often, so that what is sent again with the same amount comes often too.
const amount = fc.oneof(fc.integer({ min: 1, max: 14 }), fc.constantFrom(3, 5));
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant('hold' as const),
      id,
      amount,
      above: fc.constantFrom<Above>('overage', 'cap', 'refuse'),
    }),
  },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('settle' as const), id, amount }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('release' as const), id }) },
  { weight: 1, arbitrary: fc.constant({ type: 'expire' as const }) },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant('event' as const), hold: fc.option(id, { nil: undefined }), amount }),
  },
);

let worlds = 0;
let events = 0;
async function perform(key: string, one: Command): Promise<number> {
  const call = async (path: string, body?: unknown) =>
    (await app.call('POST', path, { key, ...(body !== undefined && { body }) })).status;
  switch (one.type) {
    case 'hold':
      return call('/v1/holds', {
        id: one.id,
        customer: 'acme',
        amount: String(one.amount),
        currency: 'USD',
        above: one.above,
        expires_in_seconds: 60,
      });
    case 'settle':
      return call(`/v1/holds/${one.id}/settle`, { amount: String(one.amount) });
    case 'release':
      return call(`/v1/holds/${one.id}/release`);
    case 'expire':
      app.clock.offsetMs += 61_000;
      await expireHolds(app.database, app.services.holds, app.services.now());
      return 200;
    case 'event':
      events += 1;
      return call('/v1/events', {
        id: `e${events}`,
        type: 'llm.call',
        subject: 'acme',
        data: { model: 'm', tokens: { output: one.amount }, ...(one.hold !== undefined && { hold_id: one.hold }) },
      });
  }
}

test('any interleaving does what the model says; the books are right; overage explains what passed the limit', {
  timeout: 120_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 4, maxLength: 16 }), async (commands) => {
      worlds += 1;
      const key = await app.environment(`model-${worlds}`);
      const send = (method: string, path: string, body?: unknown) =>
        app.call(method, path, { key, ...(body !== undefined && { body }) });
      await send('POST', '/v1/customers/acme/wallets/main/grants', {
        amount: String(GRANT),
        currency: 'USD',
        kind: 'paid',
      });
      await send('PUT', '/v1/rate_cards/default', {
        currency: 'USD',
        prices: [{ meter: 'output_tokens', charge_model: { type: 'per_unit', unit_amount: '1' } }],
      });
      await send('POST', '/v1/budgets', {
        key: 'limit',
        scope: { customer: 'acme' },
        unit: 'USD',
        window: 'lifetime',
        limit: String(LIMIT),
      });
      const model = new Model();
      for (const one of commands) {
        expect(await perform(key, one), JSON.stringify(one)).toBe(model.run(one));
        const counter = (await send('GET', '/v1/budgets/limit')).body.counters[0] ?? { committed: '0', held: '0' };
        expect([Number(counter.committed), Number(counter.held)], JSON.stringify(one)).toEqual([
          model.committed,
          model.held,
        ]);
        const wallet = (await send('GET', '/v1/customers/acme/wallets/main')).body;
        expect([Number(wallet.held), Number(wallet.available), Number(wallet.receivable)], JSON.stringify(one)).toEqual(
          [model.held, model.grant, model.receivable],
        );
      }
      const overage = await app.database.pool.query<{ sum: string }>(
        `select coalesce(sum(o.amount), 0)::text as sum from budget_overage o join environment e on e.id = o.environment_id where e.key = $1`,
        [`model-${worlds}`],
      );
      expect(model.committed).toBeLessThanOrEqual(LIMIT + Number(overage.rows[0]?.sum));
      expect((await send('POST', '/v1/audit', {})).body.differences).toEqual([]);
    }),
    { numRuns: 60 },
  );
  expect(app.errors).toEqual([]);
});
