import { afterAll, beforeAll, describe, test } from 'vitest';
import {
  checkHoldMix,
  CONJUNCTIONS,
  HIERARCHIES,
  PAIRS,
  PER,
  SINGLES,
  UNITS,
  WALLETS,
  WINDOW_MIXES,
} from '../support/hold-mixes.ts';
import { type ErgonProcesses, startErgonProcesses } from '../support/processes.ts';

/**
 * DESIGN section 7, invariant 4, over every mix of scopes, windows, units and wallets, on one process and on three: of 1,000
 * concurrent holds exactly as many are admitted as fit, and after their release exactly as many again.
 */
const MIXES = [...SINGLES, ...PAIRS, ...CONJUNCTIONS, ...PER, ...HIERARCHIES, ...WINDOW_MIXES, ...WALLETS, ...UNITS];

let processes: ErgonProcesses;
beforeAll(async () => {
  processes = await startErgonProcesses(3);
});
afterAll(() => processes.stop());

describe.each([1, 3])('%i of three processes', (processCount) => {
  test.each(MIXES)('$name', (mix) => checkHoldMix(processes, mix, processCount));
});
