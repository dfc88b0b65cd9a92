import { afterAll, beforeAll, describe, test } from 'vitest';
import { checkHoldMix, CONJUNCTIONS, HIERARCHIES, type HoldMix, PAIRS, PER, WALLETS } from './support/hold-mixes.ts';
import { type ErgonProcesses, startErgonProcesses } from './support/processes.ts';

/** Some of every kind of mix, on one process and on three; `npm run soak` has all of them (tests/soak/holds.soak.ts). */
let processes: ErgonProcesses;
beforeAll(async () => {
  processes = await startErgonProcesses(3);
});
afterAll(() => processes.stop());

const named = (mixes: readonly HoldMix[], name: string): HoldMix[] => mixes.filter((mix) => mix.name === name);

describe('of 1,000 concurrent holds as many are admitted as fit, and after their release as many again', () => {
  test.each(named(PAIRS, 'team and feature'))('one process: $name', (mix) => checkHoldMix(processes, mix, 1));
  test.each([
    ...named(PAIRS, 'model and run'),
    ...named(PER, 'a counter for each user of each team, of one customer'),
    ...CONJUNCTIONS,
    ...HIERARCHIES.filter(({ clockAt }) => clockAt === undefined),
    ...named(WALLETS, 'a wallet tighter than the budget'),
  ])('three processes: $name', (mix) => checkHoldMix(processes, mix, 3));
});
