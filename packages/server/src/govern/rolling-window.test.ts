import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { formatInstant } from '../event/instant.ts';
import { startTestApp } from '../http/test-app.test-support.ts';
import { prepareHold, subjectOf } from './hold-request.ts';
import { holdBody } from './schemas.ts';

test('two holds in neighbouring slices of a rolling window, at once: the second sees the first', async () => {
  const app = await startTestApp();
  try {
    const key = await app.environment('slices');
    const spec = { key: 'b', unit: 'requests', window: 'rolling:1h', limit: '1' };
    await app.call('POST', '/v1/budgets', { key, body: spec });
    const found = await app.database.pool.query<{ id: number; catalog_revision: bigint }>(
      "select id, catalog_revision from environment where key = 'slices'",
    );
    const { id: environment = 0, catalog_revision: revision = 0n } = found.rows[0] ?? {};
    const catalog = await app.services.record.catalog(environment);
    const hold = async (client: typeof first, name: string, at: number): Promise<string> => {
      const body = holdBody.parse({ id: name });
      const limits = { at, applyMax: 64 };
      const made = prepareHold(body, { requests: '1' }, null, subjectOf(body, 'k', []), catalog.budgets, limits);
      if (made.kind !== 'ready') throw new Error(made.kind);
      const { rows } = await client.query<{ answer: { answers: { outcome: string }[] } }>(
        'select ergon_hold($1, $2::int8, $3, $4::jsonb) as answer',
        [environment, revision.toString(), formatInstant(at), JSON.stringify([made.request])],
      );
      return rows[0]?.answer.answers[0]?.outcome ?? '';
    };
    const first = await app.database.pool.connect();
    const second = await app.database.pool.connect();
    try {
      // A slice of an hour's window is a minute: these two stand on either side of a slice's end.
      const boundary = Math.ceil(app.services.now() / 60_000_000) * 60_000_000;
      await first.query('begin');
      expect(await hold(first, 'h1', boundary - 1)).toBe('held');
      const waiting = hold(second, 'h2', boundary + 1);
      await sleep(50);
      await first.query('commit');
      expect(await waiting).toBe('refused');
    } finally {
      first.release();
      second.release();
    }
  } finally {
    await app.stop();
  }
});
