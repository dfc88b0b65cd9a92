import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isRefusing, POLICY_ACTIONS, strictness } from './actions.ts';
import { readCondition } from './condition.ts';
import { compilePolicy, decide } from './decide.ts';
import { type PolicyInputs, policyDocument, policyInputs } from './policy-document.ts';

const AT = Date.parse('2026-11-21T20:00:00Z') * 1000;
const INPUTS = policyInputs.parse({
  ...{ customer: 'acme', feature: 'chat', model: 'gpt-5-mini', team: 'support', run_id: 'run_9' },
  ...{ tags: { cost_center: '42' }, metrics: { charge: '5.000000000001', flops: '123456789012345678901234' } },
});

const policy = (key: string, document: Readonly<Record<string, unknown>>) =>
  compilePolicy(key, 1, policyDocument.parse({ mode: 'enforce', ...document }));
const refuseAll = { ladder: [{ action: 'refuse' }] };

test.each<[string, Readonly<Record<string, unknown>>, string]>([
  ['everything', refuseAll, 'refuse'],
  ['its customer', { ...refuseAll, scope: { customer: 'acme' } }, 'refuse'],
  ['another customer', { ...refuseAll, scope: { customer: 'other' } }, 'allow'],
  ['a trailing star', { ...refuseAll, scope: { model: 'gpt-5*' } }, 'refuse'],
  ['one of several', { ...refuseAll, scope: { model: ['claude*', 'gpt-5-mini'] } }, 'refuse'],
  ['a conjunction', { ...refuseAll, scope: { model: 'gpt-5*', team: 'sales' } }, 'allow'],
  ['a dimension it lacks', { ...refuseAll, scope: { agent: '*' } }, 'allow'],
  ['a metric at its level', { metric: 'charge', ladder: [{ at_least: '5.000000000001', action: 'refuse' }] }, 'refuse'],
  ['a metric a hair below', { metric: 'charge', ladder: [{ at_least: '5.000000000002', action: 'refuse' }] }, 'allow'],
  [
    'the highest rung reached',
    {
      metric: 'charge',
      ladder: [
        { at_least: '1', action: 'notify' },
        { at_least: '4', action: 'require_approval' },
        { at_least: '9', action: 'kill' },
      ],
    },
    'require_approval',
  ],
  [
    'more digits than a double has',
    { metric: 'flops', ladder: [{ at_least: '123456789012345678901235', action: 'refuse' }] },
    'allow',
  ],
  ['a tag it has', { ladder: [{ action: 'require_tag', tag: 'cost_center' }] }, 'allow'],
  ['a tag it lacks', { ladder: [{ action: 'require_tag', tag: 'owner' }] }, 'require_tag'],
  ['a condition', { ...refuseAll, condition: 'model.startsWith("gpt") && team == "support"' }, 'refuse'],
  ['a condition on an exact amount', { ...refuseAll, condition: 'atLeast(metrics.charge, "5.000000000002")' }, 'allow'],
  ['a condition on the hour of a zone', { ...refuseAll, condition: 'at.getHours("Europe/Athens") >= 22' }, 'refuse'],
  ['a condition on a tag', { ...refuseAll, condition: 'has(tags.cost_center) && tags.cost_center == "42"' }, 'refuse'],
  ['shadow', { ...refuseAll, mode: 'shadow' }, 'allow'],
  ['warn', { ...refuseAll, mode: 'warn' }, 'allow'],
  ['a missing metric, open', { metric: 'tokens', ladder: [{ at_least: '1', action: 'refuse' }] }, 'record'],
  [
    'a missing metric, closed',
    { metric: 'tokens', on_error: 'closed', ladder: [{ at_least: '1', action: 'notify' }] },
    'refuse',
  ],
  [
    'a failing condition, closed',
    { ...refuseAll, ladder: [{ action: 'notify' }], on_error: 'closed', condition: 'atLeast(metrics.tokens, "1")' },
    'refuse',
  ],
])('%s', (_, document, action) => {
  expect(decide([policy('p', document)], INPUTS, AT).action).toBe(action);
});

test('the strictest enforced action wins, the lowest cap, the first model; shadow says what it had changed', () => {
  const result = decide(
    [
      policy('d', { mode: 'shadow', ...refuseAll }),
      policy('b', { ladder: [{ action: 'cap_output', max_output_tokens: 100 }] }),
      policy('a', { ladder: [{ action: 'cap_output', max_output_tokens: 300 }] }),
      policy('c', { ladder: [{ action: 'downgrade_model', model: 'gpt-5-nano', reason: 'cheaper' }] }),
    ],
    INPUTS,
    AT,
  );
  expect(result).toMatchObject({
    ...{ action: 'downgrade_model', is_admitted: true, max_output_tokens: 100, model: 'gpt-5-nano' },
    shadow: { action: 'refuse', is_admitted: false, differs: true },
  });
  expect(result.matches.map((match) => match.policy)).toEqual(['a', 'b', 'c', 'd']);
});

test.each([
  ['model.matches("(a+)+$")', /must not use matches/],
  ['[1, 2].exists(x, [1].all(y, y == x))', /must not nest/],
  ['1 +', /Unexpected token/],
  ['nobody == "x"', /Unknown variable: nobody/],
  ['model', /gives string, not bool/],
  ['metrics.charge > 5', /no such overload/],
  [`${'!'.repeat(300)}true`, /Exceeded|depth|nodes/i],
  [Array.from({ length: 200 }, () => 'true').join(' && '), /Exceeded|nodes/i],
])('the condition %s is refused when it is published', (text, error) => {
  const read = readCondition(text);
  expect(read.ok ? '' : read.error).toMatch(error);
  expect(read.ok).toBe(false);
});

test('a condition near the bound is asked like any other', () => {
  const read = readCondition(Array.from({ length: 40 }, (_, index) => `model != "m${index}"`).join(' && '));
  if (!read.ok) throw new Error(read.error);
  for (let round = 0; round < 1_000; round++) expect(read.condition(INPUTS, AT)).toBe(true);
});

test.each([
  [{ ladder: [{ action: 'cap_output' }], mode: 'enforce' }, /needs max_output_tokens/],
  [{ ladder: [{ action: 'refuse', at_least: '1' }], mode: 'enforce' }, /need a metric/],
  [{ ladder: [{ action: 'refuse' }], metric: 'charge', mode: 'enforce' }, /needs at_least/],
  [{ ladder: [{ action: 'notify' }, { action: 'refuse' }], mode: 'enforce' }, /there is one rung/],
  [
    {
      metric: 'charge',
      ladder: [
        { action: 'notify', at_least: '2' },
        { action: 'refuse', at_least: '2.0' },
      ],
      mode: 'enforce',
    },
    /must rise/,
  ],
  [{ ladder: [{ action: 'scold' }], mode: 'enforce' }, /Invalid option/],
])('the document %j is refused', (document, error) => {
  const read = policyDocument.safeParse(document);
  expect(read.error?.issues.map((issue) => issue.message).join()).toMatch(error);
});

const anyPolicy = fc.record({
  mode: fc.constantFrom('shadow', 'warn', 'enforce'),
  action: fc.constantFrom('record', 'notify', 'pause_run', 'refuse', 'kill'),
  level: fc.integer({ min: 1, max: 10 }),
});

test('more policies never admit what fewer refuse; order does not matter; only enforced ones decide', () => {
  fc.assert(
    fc.property(
      fc.array(anyPolicy, { maxLength: 6 }),
      anyPolicy,
      fc.integer({ min: 0, max: 11 }),
      (given, more, charge) => {
        const inputs: PolicyInputs = { tags: {}, metrics: { charge: String(charge) } };
        const build = (each: typeof given) =>
          each.map(({ mode, action, level }, index) =>
            policy(`p${index}`, { mode, metric: 'charge', ladder: [{ at_least: String(level), action }] }),
          );
        const few = decide(build(given), inputs, AT);
        const many = decide(build([...given, more]), inputs, AT);
        expect(few.is_admitted || !many.is_admitted).toBe(true);
        expect(decide(build(given).toReversed(), inputs, AT)).toEqual(few);
        const applied = given.filter(({ mode, level }) => mode === 'enforce' && charge >= level);
        const strictest = Math.max(
          -1,
          ...applied.map(({ action }) => POLICY_ACTIONS.findIndex((one) => one === action)),
        );
        expect(few.action === 'allow' ? -1 : strictness(few.action)).toBe(strictest);
        expect(few.is_admitted).toBe(few.action === 'allow' || !isRefusing(few.action));
      },
    ),
  );
});
