import { afterAll, beforeAll, test } from 'vitest';
import { type ErgonProcesses, startErgonProcesses } from './support/processes.ts';
import { checkPublishes } from './support/publish-rounds.ts';

let processes: ErgonProcesses;
beforeAll(async () => {
  processes = await startErgonProcesses(3);
});
afterAll(() => processes.stop());

test('a publish on one of three processes is in force on each when it is answered, under load', () =>
  checkPublishes(processes, 8));
