import { expect, test } from 'vitest';
import { BoundedMemo } from './bounded-memo.ts';

test('holds at most two generations and keeps what is in use', () => {
  const memo = new BoundedMemo<number>(10);
  memo.set('used', 1);
  for (let index = 0; index < 1000; index++) {
    memo.set(`once-${index}`, index);
    expect(memo.get('used')).toBe(1);
    expect(memo.size).toBeLessThanOrEqual(20);
  }
  expect(memo.get('once-0')).toBeUndefined();
  expect(memo.get('once-999')).toBe(999);
});
