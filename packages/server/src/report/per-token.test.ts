import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestErgon, type TestErgon } from '../../../../tests/support/ergon.ts';
import { llmCall, newTenant, type Tenant } from './report.test-support.ts';

type Row = {
  readonly group: Readonly<Record<string, string | null>>;
  readonly requests: string;
  readonly tokens: Readonly<Record<string, string>>;
  readonly flops: string;
  readonly flops_per_token: string | null;
  readonly relative_work: string | null;
};
type Report = {
  readonly rows: readonly Row[];
  readonly overall: Row;
  readonly spread: string | null;
  readonly unmeasured: readonly Row[];
};

const RANGE = 'from=2026-11-20T10:00:00Z&to=2026-11-20T11:00:00Z';
const AT = '2026-11-20T10:00:00Z';

let ergon: TestErgon;
let tenant: Tenant;
beforeAll(async () => {
  ergon = await startTestErgon();
  tenant = await newTenant(ergon, ['acme', 'beta']);
  const call = (
    id: string,
    model: string,
    feature: string,
    tokens: Readonly<Record<string, number>>,
    subject = 'acme',
  ) => llmCall(id, AT, { model, feature, tokens }, subject);
  await tenant.send([
    call('1', 'llama-3.1-70b', 'chat', { input: 1000, output: 1000 }),
    call('2', 'llama-3.1-70b', 'search', { input: 100, cache_read: 1800, output: 100 }),
    call('3', 'llama-3.1-70b', 'search', { input: 60_000, output: 2000 }, 'beta'),
    call('4', 'Qwen3-30B-A3B', 'chat', { input: 1000, output: 1000 }),
    call('5', 'gpt-5', 'chat', { input: 500, output: 500 }),
    call('6', 'llama-3.1-70b', 'chat', { input: 7, output: 7 }),
    { id: 'v', source: 'test', type: 'event.void', data: { source: 'test', id: '6' } },
  ]);
});
afterAll(() => ergon.stop());

test('equal tokens are unequal work: by model, by what was cached, by length', async () => {
  const report = await tenant.read<Report>(`/v1/compute/per_token?${RANGE}`);
  const names = report.rows.map(({ group }) => [group.feature, group.model, group.context_length]);
  expect(names).toEqual([
    ['search', 'llama-3.1-70b', '16k-64k'],
    ['chat', 'llama-3.1-70b', '0-1k'],
    ['search', 'llama-3.1-70b', '1k-4k'],
    ['chat', 'Qwen3-30B-A3B', '0-1k'],
  ]);
  const [, dense, cached, sparse] = report.rows;
  expect([dense?.tokens.total, cached?.tokens.total, sparse?.tokens.total]).toEqual(['2000', '2000', '2000']);
  expect(cached?.tokens).toEqual({ new: '100', cached: '1800', output: '100', total: '2000' });
  expect(dense?.flops_per_token).toBe(String(Number(dense?.flops) / 2000));
  expect(report.spread).toBe(
    (Number(report.rows[0]?.flops_per_token) / Number(sparse?.flops_per_token)).toFixed(6).replace(/0+$/, ''),
  );
  expect(report.unmeasured).toEqual([
    {
      group: { feature: 'chat', model: 'gpt-5', context_length: null },
      requests: '1',
      tokens: { new: '500', cached: '0', output: '500', total: '1000' },
    },
  ]);
});

test('the rows sum to the whole, whatever they are grouped by', async () => {
  const whole = await tenant.read<Report>(`/v1/compute/per_token?${RANGE}&group_by=`);
  expect(whole.rows).toHaveLength(1);
  expect(whole.rows[0]?.relative_work).toBe('1');
  for (const groupBy of ['customer', 'model,status', 'context_length']) {
    const report = await tenant.read<Report>(`/v1/compute/per_token?${RANGE}&group_by=${groupBy}`);
    expect(report.overall).toEqual(whole.overall);
    expect(report.rows.reduce((sum, row) => sum + BigInt(row.flops), 0n)).toBe(BigInt(whole.overall.flops));
  }
  const beta = await tenant.read<Report>(`/v1/compute/per_token?${RANGE}&customer=beta`);
  expect(beta.overall.requests).toBe('1');
});

test.each(['group_by=colour', 'group_by=model,model', 'from=2026-11-20T10:00:01Z', 'group_by=currency'])(
  '%s is refused',
  async (query) => {
    expect((await tenant.get(`/v1/compute/per_token?${query}`)).status).toBe(400);
  },
);
