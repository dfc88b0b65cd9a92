import { expect, test } from 'vitest';
import { startTestErgon } from './support/ergon.ts';
import { simulateYear } from './support/year-of-usage.ts';

test('a year in five zones, late events and all, comes to what the events say, to the twelfth decimal', async () => {
  const year = await startTestErgon(2);
  try {
    let seed = 20_261_121;
    const next = (below: number): number => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fff_ffff;
      return Math.floor((seed / 0x8000_0000) * below);
    };
    const { checked, differences, late } = await simulateYear(
      year,
      { customers: 15, eventsEach: 120, stepDays: 15 },
      next,
    );
    expect(differences).toEqual([]);
    expect(checked).toBeGreaterThan(15 * 12);
    expect(late).toBeGreaterThan(50);
  } finally {
    await year.stop();
  }
});
