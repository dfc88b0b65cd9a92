import { test } from 'vitest';
import { startErgonProcesses } from '../support/processes.ts';
import { storm } from '../support/storm.ts';

const SECONDS = Number(process.env['STORM_SECONDS'] ?? 75);
const SEED = Number(process.env['STORM_SEED'] ?? Date.now() % 1_000_000);

test(`${SECONDS} s of everything at once on four customers and three processes`, async () => {
  console.log(`seed ${SEED}`);
  const processes = await startErgonProcesses(3);
  try {
    console.log(await storm(processes, SECONDS * 1_000, SEED));
  } finally {
    await processes.stop();
  }
});
