import { expect, test } from 'vitest';
import { nameMatcher } from './match-model.ts';

test.each([
  [{ equals: 'GPT-5' }, ['gpt-5'], ['gpt-5-mini', 'xgpt-5']],
  [{ starts_with: 'MiniMax-M' }, ['minimax-m', 'minimax-m3'], ['a-minimax-m']],
  [{ ends_with: ':Free' }, ['x:free'], [':free-x']],
  [{ contains: 'Claude' }, ['a-claude-b'], ['cloud']],
  [{ regex: '^claude-opus-5-\\d{8}$' }, ['claude-opus-5-20260801'], ['claude-opus-5-5']],
  [{ or: [{ equals: 'a' }, { equals: 'b' }] }, ['a', 'b'], ['c']],
  [{ and: [{ contains: 'a' }, { contains: 'b' }] }, ['ab'], ['a', 'b']],
])('%j', (logic, meant, others) => {
  const matches = nameMatcher(logic);
  expect(meant.filter((name) => !matches(name))).toEqual([]);
  expect(others.filter((name) => matches(name))).toEqual([]);
});
