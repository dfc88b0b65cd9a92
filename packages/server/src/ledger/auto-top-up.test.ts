import { decimal } from '@ergon/exact';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { autoTopUp, capPeriodStart, latestSlot, type TopUpFacts, type TopUpRule } from './auto-top-up.ts';

const micros = (text: string): number => Date.parse(text) * 1000;
const iso = (at: number | undefined): string | undefined =>
  at === undefined ? undefined : new Date(at / 1000).toISOString();
const NOW = micros('2026-11-21T12:00:00Z');

const RULE: TopUpRule = {
  amount: decimal('50'),
  threshold: decimal('10'),
  schedule: undefined,
  cap: undefined,
  cooldownSeconds: 300,
};
const FACTS: TopUpFacts = {
  now: NOW,
  available: decimal('9.999999999999'),
  isPending: false,
  lastRequestedAt: undefined,
  countInPeriod: 0,
  amountInPeriod: decimal('0'),
  ruleSetAt: micros('2026-11-01T00:00:00Z'),
  lastSlot: undefined,
  timeZone: 'UTC',
};
const DAILY = { every: 'day', anchorAt: micros('2026-11-10T12:00:00Z') } as const;
const cap = (count: number | undefined, amount: string | undefined) => ({
  per: 'day' as const,
  count,
  amount: amount === undefined ? undefined : decimal(amount),
});

test.each<[string, Partial<TopUpRule>, Partial<TopUpFacts>, string]>([
  ['below the threshold', {}, {}, 'request threshold'],
  ['at the threshold', {}, { available: decimal('10') }, 'none'],
  ['pending already', {}, { isPending: true }, 'none'],
  ['cooling down', {}, { lastRequestedAt: NOW - 299_999_999 }, 'none'],
  ['cooled down', {}, { lastRequestedAt: NOW - 300_000_000 }, 'request threshold'],
  ['count cap reached', { cap: cap(2, undefined) }, { countInPeriod: 2 }, 'capped threshold'],
  ['count cap not reached', { cap: cap(2, undefined) }, { countInPeriod: 1 }, 'request threshold'],
  [
    'amount cap reached exactly',
    { cap: cap(undefined, '100') },
    { amountInPeriod: decimal('50') },
    'request threshold',
  ],
  [
    'amount cap passed by a hair',
    { cap: cap(undefined, '100') },
    { amountInPeriod: decimal('50.000000000001') },
    'capped threshold',
  ],
  ['a capped one cools down too', { cap: cap(1, undefined) }, { countInPeriod: 1, lastRequestedAt: NOW - 1 }, 'none'],
  ['no threshold, no schedule due', { threshold: undefined }, {}, 'none'],
  [
    'a slot has come',
    { threshold: undefined, schedule: DAILY },
    { available: decimal('99') },
    'request schedule 2026-11-21T12:00:00.000Z',
  ],
  ['the slot was dealt with', { threshold: undefined, schedule: DAILY }, { lastSlot: NOW }, 'none'],
  [
    'slots missed are one',
    { threshold: undefined, schedule: DAILY },
    { lastSlot: NOW - 5 * 86_400_000_000 },
    'request schedule 2026-11-21T12:00:00.000Z',
  ],
  ['a slot of before the rule', { threshold: undefined, schedule: DAILY }, { ruleSetAt: NOW + 1 }, 'none'],
  ['a slot before the threshold', { schedule: DAILY }, {}, 'request schedule 2026-11-21T12:00:00.000Z'],
  [
    'a capped slot',
    { threshold: undefined, schedule: DAILY, cap: cap(1, undefined) },
    { countInPeriod: 1 },
    'capped schedule 2026-11-21T12:00:00.000Z',
  ],
])('%s', (_, rule, facts, expected) => {
  const decision = autoTopUp({ ...RULE, ...rule }, { ...FACTS, ...facts });
  const words =
    decision.kind === 'none'
      ? ['none']
      : [decision.kind, decision.trigger, ...(decision.trigger === 'schedule' ? [iso(decision.slot)] : [])];
  expect(words.join(' ')).toBe(expected);
});

test.each([
  ['month', '2026-01-31T09:00:00Z', '2026-03-01T00:00:00Z', 'UTC', '2026-02-28T09:00:00.000Z'],
  ['month', '2026-01-31T09:00:00Z', '2026-03-31T08:59:59Z', 'UTC', '2026-02-28T09:00:00.000Z'],
  ['month', '2026-01-31T09:00:00Z', '2026-03-31T09:00:00Z', 'UTC', '2026-03-31T09:00:00.000Z'],
  // Nine o'clock in Athens stays nine o'clock when summer time begins on 29 March 2026.
  ['day', '2026-03-27T07:00:00Z', '2026-03-29T23:00:00Z', 'Europe/Athens', '2026-03-29T06:00:00.000Z'],
  ['week', '2026-03-26T07:00:00Z', '2026-04-02T05:59:59Z', 'Europe/Athens', '2026-03-26T07:00:00.000Z'],
  ['week', '2026-03-26T07:00:00Z', '2026-04-02T06:00:00Z', 'Europe/Athens', '2026-04-02T06:00:00.000Z'],
  ['day', '2026-03-27T07:00:00Z', '2026-03-27T06:59:59Z', 'UTC', undefined],
] as const)('the latest slot: every %s from %s, at %s in %s', (every, anchor, at, zone, expected) => {
  expect(iso(latestSlot({ every, anchorAt: micros(anchor) }, micros(at), zone))).toBe(expected);
});

test('a slot never lies ahead, never falls back, and each is its own latest', () => {
  const anchorAt = micros('2024-01-31T01:30:00Z');
  const zones = ['UTC', 'Europe/Athens', 'America/New_York', 'Australia/Lord_Howe'];
  fc.assert(
    fc.property(
      fc.constantFrom('day', 'week', 'month'),
      fc.constantFrom(...zones),
      fc.integer({ min: 0, max: 4 * 365 * 24 * 60 }),
      fc.integer({ min: 0, max: 90 * 24 * 60 }),
      (every, zone, minutes, more) => {
        const at = anchorAt + minutes * 60_000_000;
        const slot = latestSlot({ every, anchorAt }, at, zone) ?? Number.NaN;
        expect(slot).toBeLessThanOrEqual(at);
        expect(latestSlot({ every, anchorAt }, slot, zone)).toBe(slot);
        expect(latestSlot({ every, anchorAt }, at + more * 60_000_000, zone)).toBeGreaterThanOrEqual(slot);
      },
    ),
  );
});

test('a cap counts a calendar day or month of the customer', () => {
  expect(iso(capPeriodStart('day', micros('2026-11-21T23:00:00Z'), 'Europe/Athens'))).toBe('2026-11-21T22:00:00.000Z');
  expect(iso(capPeriodStart('month', micros('2026-11-21T23:00:00Z'), 'UTC'))).toBe('2026-11-01T00:00:00.000Z');
});
