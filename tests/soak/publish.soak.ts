import { afterAll, beforeAll, test } from 'vitest';
import { type ErgonProcesses, startErgonProcesses } from '../support/processes.ts';
import { checkPublishes } from '../support/publish-rounds.ts';

let processes: ErgonProcesses;
beforeAll(async () => {
  processes = await startErgonProcesses(3);
});
afterAll(() => processes.stop());

test('sixty times five publishes on three processes, each in force everywhere when it is answered', () =>
  checkPublishes(processes, 60));
