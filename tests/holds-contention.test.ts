import { expect, test } from 'vitest';
import { seedKey } from '../packages/server/bench/support/seed.ts';
import { startTestErgon } from './support/ergon.ts';

/**
 * Holds, settlements by amount and by event, releases and plain usage of one customer on three services at once, over two budgets:
 * every one is answered, PostgreSQL never had to break a circle of locks, and the books are right.
 */
test('one customer from all sides: no deadlock, nothing left held, the audit finds nothing', async () => {
  const ergon = await startTestErgon(3);
  try {
    const key = await seedKey(ergon.sql, 1);
    let turn = 0;
    const call = async (path: string, body: unknown, method = 'POST') => {
      const service = ergon.replicas[turn++ % 3];
      if (service === undefined) throw new Error('no service');
      const response = await service.fetch(
        new Request(`http://test${path}`, {
          method,
          headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
          body: JSON.stringify(body),
        }),
      );
      return { status: response.status, text: await response.text() };
    };
    const price = { meter: 'output_tokens', charge_model: { type: 'per_unit', unit_amount: '0.001' } };
    await call('/v1/rate_cards/default', { currency: 'USD', prices: [price] }, 'PUT');
    for (const kind of ['paid', 'promotional'])
      await call('/v1/customers/acme/wallets/main/grants', { amount: '20', currency: 'USD', kind });
    await call('/v1/budgets', { key: 'day', unit: 'USD', window: 'day', limit: '1000' });
    await call('/v1/budgets', { key: 'rolling', per: ['customer'], unit: 'USD', window: 'rolling:1h', limit: '1000' });
    const event = (id: string, more: object = {}) => ({
      id,
      source: 'test',
      type: 'llm.call',
      subject: 'acme',
      data: { model: 'm', tokens: { output: 3 }, ...more },
    });
    const statuses = await Promise.all(
      Array.from({ length: 240 }, async (_, index) => {
        const id = `h${index}`;
        const held = await call('/v1/holds', { id, customer: 'acme', amount: '0.01', currency: 'USD' });
        const ends = [
          () => call(`/v1/holds/${id}/settle`, { amount: '0.004' }),
          () => call('/v1/events', event(`e${index}`, { hold_id: id })),
          () => call(`/v1/holds/${id}/release`, {}),
          () => call(`/v1/holds/${id}/settle`, { event: event(`s${index}`) }),
        ];
        const [ended, unheld] = await Promise.all([ends[index % 4]?.(), call('/v1/events', event(`u${index}`))]);
        return [held, ended, unheld].map((one) => (one !== undefined && one.status < 300 ? 'ok' : one?.text));
      }),
    );
    expect(statuses.flat().filter((one) => one !== 'ok')).toEqual([]);
    const { rows } = await ergon.sql.query<{ deadlocks: string }>(
      'select deadlocks::text from pg_stat_database where datname = current_database()',
    );
    expect(rows[0]?.deadlocks).toBe('0');
    const held = await ergon.sql.query('select sum(held)::text as held from budget_counter');
    expect(Number(held.rows[0].held)).toBe(0);
    expect(JSON.parse((await call('/v1/audit', {})).text).differences).toEqual([]);
  } finally {
    await ergon.stop();
  }
});
