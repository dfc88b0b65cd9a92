import { expect, test } from 'vitest';
import { startTestErgon } from '../support/ergon.ts';
import { simulateYear } from '../support/year-of-usage.ts';

/** The long form of tests/subscription-year.test.ts. */
const CUSTOMERS = Number(process.env['YEAR_CUSTOMERS'] ?? 1_000);

test('a year of a thousand customers in five zones comes to what the events say, to the twelfth decimal', async () => {
  const year = await startTestErgon(2);
  try {
    let seed = 20_261_121;
    const next = (below: number): number => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fff_ffff;
      return Math.floor((seed / 0x8000_0000) * below);
    };
    const { checked, differences, late } = await simulateYear(
      year,
      { customers: CUSTOMERS, eventsEach: 50, stepDays: 5 },
      next,
    );
    expect(differences).toEqual([]);
    expect(checked).toBeGreaterThan(CUSTOMERS * 12);
    expect(late).toBeGreaterThan(CUSTOMERS);
  } finally {
    await year.stop();
  }
});
