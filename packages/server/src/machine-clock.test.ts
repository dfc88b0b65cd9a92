import { expect, test } from 'vitest';
import { machineClock } from './machine-clock.ts';

/** A machine whose two clocks a test turns, in milliseconds. */
function machine() {
  const at = { wall: 1_800_000_000_000, steady: 5_000 };
  const clock = machineClock({ wall: () => Math.floor(at.wall), steady: () => at.steady, origin: 0 });
  const pass = (ms: number): number => {
    at.wall += ms;
    at.steady += ms;
    return clock();
  };
  return { at, clock, pass };
}

test('instants within one millisecond differ', () => {
  const { pass } = machine();
  const first = pass(0.2);
  expect(pass(0.003) - first).toBe(3);
});

test.each([
  ['a step forward', 3_600_000],
  ['a step back', -3_600_000],
])('%s of the machine is followed at once', (_, step) => {
  const { at, pass } = machine();
  pass(10);
  at.wall += step;
  expect(Math.abs(pass(1) - at.wall * 1_000)).toBeLessThan(1_000);
});

test('a machine that slept is not behind: its steady clock stood still', () => {
  const { at, pass } = machine();
  pass(10);
  at.wall += 8 * 3_600_000;
  expect(Math.abs(pass(1) - at.wall * 1_000)).toBeLessThan(1_000);
});

test('two processes of one machine agree to microseconds, whenever they started', () => {
  const at = { wall: 1_800_000_000_000.7, steady: 0 };
  const clockFrom = (start: number) =>
    machineClock({ wall: () => Math.floor(at.wall), steady: () => at.steady - start, origin: 0 });
  const clocks = [clockFrom(0), clockFrom(3.3), clockFrom(917.9)];
  for (let turn = 0; turn < 2_000; turn++) {
    at.wall += 0.013;
    at.steady += 0.013;
    for (const clock of clocks) clock();
  }
  const told = clocks.map((clock) => clock());
  expect(Math.max(...told) - Math.min(...told)).toBeLessThanOrEqual(14);
  expect(Math.abs((told[0] ?? 0) - at.wall * 1_000)).toBeLessThanOrEqual(14);
});
