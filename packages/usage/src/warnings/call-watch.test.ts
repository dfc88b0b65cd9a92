import { expect, test } from 'vitest';
import { normaliseUsage } from '../normalise-usage.ts';
import { createCallWatch, type CallWatch, type WatchedCall } from './call-watch.ts';

function call(index: number, differing: Partial<WatchedCall> = {}): WatchedCall {
  return {
    customer: 1,
    source: 'gateway',
    minute: 29_000_000 + index,
    record: normaliseUsage({ model: 'gpt-5', tokens: { input: 1_000 + index, output: 50 } }),
    isFailed: false,
    ...differing,
  };
}

const many = (count: number, differing: Partial<WatchedCall> = {}) =>
  Array.from({ length: count }, (_, index) => call(index, differing));

function send(watch: CallWatch, calls: readonly WatchedCall[]): readonly string[] {
  return watch.see(calls).map(({ warning, calls: concerned }) => `${warning.code} ${concerned}`);
}

const imported = { source: 'import' };

test.each<{ name: string; first: readonly WatchedCall[]; next: readonly WatchedCall[]; expected: readonly string[] }>([
  { name: 'the same calls from two doors', first: many(20), next: many(8, imported), expected: ['arrives_twice 8'] },
  { name: 'a few twins among many are chance', first: many(20), next: many(4, imported), expected: [] },
  {
    name: 'twins that are a small part of the smaller door are chance',
    first: many(20),
    next: [...many(5, imported), ...many(20, { ...imported, minute: 1 })],
    expected: [],
  },
  { name: 'the same door again is a retry, not a second door', first: many(20), next: many(20), expected: [] },
  {
    name: 'another customer has calls of their own',
    first: many(20),
    next: many(9, { ...imported, customer: 2 }),
    expected: [],
  },
  {
    name: 'another model is another call',
    first: many(9),
    next: many(9, { ...imported, record: normaliseUsage({ model: 'gpt-4', tokens: { input: 1_000, output: 50 } }) }),
    expected: [],
  },
  {
    name: 'one call id from two doors, whatever the figures',
    first: [call(0, { callId: 'c1' })],
    next: [call(9, { ...imported, callId: 'c1' }), call(8, { ...imported, callId: 'c2' })],
    expected: ['arrives_twice 1'],
  },
  {
    name: 'attempts of one call share its id',
    first: [call(0, { callId: 'c1' })],
    next: [call(1, { callId: 'c1' })],
    expected: [],
  },
  { name: 'both doors at once', first: [], next: [...many(6), ...many(6, imported)], expected: ['arrives_twice 6'] },
  {
    name: 'thousands of calls and no failure',
    first: many(1_999),
    next: [call(5_000)],
    expected: ['no_failures 2000'],
  },
  { name: 'one failure is enough', first: many(1_999), next: [call(5_000, { isFailed: true })], expected: [] },
])('$name', ({ first, next, expected }) => {
  const watch = createCallWatch();
  if (first.length > 0) expect(send(watch, first)).toEqual([]);
  expect(send(watch, next)).toEqual(expected);
});

test('findings of a source that never fails count each call once', () => {
  const watch = createCallWatch();
  const found = [2_500, 2_500, 2_500].flatMap((count) => send(watch, many(count)));
  expect(found).toEqual(['no_failures 2500', 'no_failures 2500', 'no_failures 2500']);
});

test('seeing the same calls again, as a transaction that is tried again does, finds the same', () => {
  const watch = createCallWatch();
  send(watch, many(20));
  expect(send(watch, many(8, imported))).toEqual(['arrives_twice 8']);
  expect(send(watch, many(8, imported))).toEqual(['arrives_twice 8']);
});

test('it forgets the oldest calls, and keeps a bounded number', () => {
  const watch = createCallWatch(100);
  send(watch, many(6));
  for (let index = 0; index < 10; index++) send(watch, many(60, { minute: index }));
  expect(send(watch, many(6, imported))).toEqual([]);
});

test('a source that never fails is told every two thousand calls, not at each', () => {
  const watch = createCallWatch();
  const told = Array.from({ length: 50 }, (_, index) => send(watch, many(100, { minute: index })).length);
  expect(told.filter((count) => count > 0)).toHaveLength(2);
});
