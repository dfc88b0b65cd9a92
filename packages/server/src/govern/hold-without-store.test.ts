import { decimal, toText } from '@ergon/exact';
import { describe, expect, test } from 'vitest';
import { compileBudget } from './compile-budget.ts';
import { holdWithoutStore, type LastKnown } from './hold-without-store.ts';
import { holdBody } from './schemas.ts';

const AT = Date.parse('2026-11-21T10:00:00Z') * 1_000;

const budget = (id: number, more: object) =>
  compileBudget(id, { key: `b${id}`, unit: 'tokens', window: 'day', limit: '100', ...more }, 0);
const open = (id: number, more: object = {}) => budget(id, { on_store_failure: 'open', ...more });
const fallback = (id: number, allowance: string) =>
  budget(id, { on_store_failure: 'fallback', fallback_allowance: allowance });

function decide(budgets: LastKnown['budgets'], body: object = {}, known: Partial<LastKnown> = {}) {
  const asked = holdBody.parse({ id: 'h', customer: 'acme', amounts: { tokens: 60 }, ...body });
  return holdWithoutStore(asked, 'key', AT, {
    ...{ budgets, hasNoPolicies: true, isPostpaid: () => true, usedAllowances: new Map() },
    ...known,
  });
}

describe('a hold without the database', () => {
  const cases: readonly (readonly [string, LastKnown['budgets'], string])[] = [
    ['no budget', [], 'closed: no budget says what to do then'],
    ['none that applies', [open(1, { scope: { customer: 'beta' } })], 'closed: no budget says what to do then'],
    ['one that only warns', [open(1, { mode: 'warn' })], 'closed: no budget says what to do then'],
    ['by default', [budget(1, {})], 'closed: the budget b1 is closed then'],
    ['open', [open(1)], 'store_failure:b1'],
    ['open beyond the limit', [open(1, { limit: '10' })], 'store_failure:b1'],
    ['open, and closed elsewhere', [open(1), budget(2, { scope: { customer: 'beta' } })], 'store_failure:b1'],
    ['open and closed', [open(1), budget(2, {})], 'closed: the budget b2 is closed then'],
    ['open and one that warns', [open(1), budget(2, { mode: 'warn' })], 'store_failure:b1'],
    ['within the allowance', [fallback(1, '60')], 'store_failure:b1'],
    ['beyond it', [fallback(1, '59')], 'closed: the budget b1 allows 59 then, and that is used up'],
    [
      'two allowances',
      [fallback(1, '60'), fallback(2, '59')],
      'closed: the budget b2 allows 59 then, and that is used up',
    ],
    ['open and within', [open(1), fallback(2, '60')], 'store_failure:b1 store_failure:b2'],
  ];
  test.each(cases)('%s', (_, budgets, expected) => {
    const decided = decide(budgets);
    expect(decided.kind === 'closed' ? `closed: ${decided.reason}` : decided.flags.join(' ')).toBe(expected);
  });

  test('an allowance is used up step by step, and by nothing that is refused', () => {
    const first = decide([fallback(1, '100')]);
    expect(first.kind === 'admitted' && first.allowances.map(([id, used]) => [id, toText(used)])).toEqual([[1, '60']]);
    expect(decide([fallback(1, '100')], {}, { usedAllowances: new Map([[1, decimal('60')]]) }).kind).toBe('closed');
    const rest = { usedAllowances: new Map([[1, decimal('40')]]) };
    expect(decide([fallback(1, '100')], {}, rest).kind).toBe('admitted');
  });

  const charge = { amounts: { tokens: 1, charge: '1' }, currency: 'USD' };
  const unknown: readonly (readonly [string, object, Partial<LastKnown>, string])[] = [
    ['policies', {}, { hasNoPolicies: false }, 'policies keep their decisions there'],
    ['a wallet', charge, { isPostpaid: () => false }, 'funds of acme are set aside there'],
    ['an unknown quantity', { amounts: {} }, {}, 'the budgets would refuse it'],
    ['an estimate', { estimate: { model: 'gpt-5-mini', tokens: { input: 1 } } }, {}, 'an estimate needs it'],
  ];
  test.each(unknown)('is refused where only the database knows: %s', (_, body, known, reason) => {
    expect(decide([open(1)], body, known)).toEqual({ kind: 'closed', reason });
  });

  test('a charge of a customer without a wallet is admitted', () => {
    expect(decide([open(1)], charge).kind).toBe('admitted');
  });

  test.each([{ scope: { run: 'r0' } }, { per: ['run'] }])('a run below unknown ones is refused: %o', (more) => {
    expect(decide([open(1), open(2, more)], { run_id: 'r1' }).kind).toBe('closed');
    expect(decide([open(1), open(2, more)]).kind).toBe('admitted');
  });
});
