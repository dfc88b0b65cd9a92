import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

/** Benches of the pure packages: no service and no database. Each is a program of its own, so that one heap is not another's. */
const PURE = {
  compute: ['packages/compute/bench/compute.bench.ts'],
  mooncake: ['packages/compute/bench/mooncake.ts'],
  rating: ['packages/rating/bench/rating.bench.ts'],
  usage: ['packages/usage/bench/main.ts'],
  prices: ['packages/server/bench/provider-prices.ts'],
} as const;

export const PURE_SCENARIOS = Object.keys(PURE);

/** Runs one; its figures go to standard output. @returns whether it succeeded: a target missed or a wrong sum is a failure. */
export function runPureBench(scenario: string): boolean {
  const [script] = Object.entries(PURE).find(([name]) => name === scenario)?.[1] ?? [];
  if (script === undefined) throw new Error(`no bench ${scenario}`);
  const root = join(import.meta.dirname, '..', '..', '..');
  return spawnSync(process.execPath, [join(root, script)], { stdio: 'inherit' }).status === 0;
}
