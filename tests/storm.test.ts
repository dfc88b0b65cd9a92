import { expect, test } from 'vitest';
import { type ErgonProcesses, startErgonProcesses } from './support/processes.ts';
import { storm } from './support/storm.ts';

test('everything at once on four customers and three processes: no deadlock, nothing held, the audit finds nothing', async () => {
  const processes: ErgonProcesses = await startErgonProcesses(3);
  try {
    expect(await storm(processes, 8_000, 20_261_121)).not.toBe('');
  } finally {
    await processes.stop();
  }
});
