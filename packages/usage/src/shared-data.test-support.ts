import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * A folder of the real data that lies beside the checkout (`../shared/data`), for tests only.
 *
 * @throws when it is not there: a test on real data that silently passes without it would prove nothing.
 */
export function sharedData(name: string): string {
  for (let folder = import.meta.dirname; folder !== dirname(folder); folder = dirname(folder)) {
    const candidate = join(folder, 'shared', 'data', name);
    if (existsSync(candidate)) return candidate;
  }
  throw new Error(`shared/data/${name} is not beside this checkout; this test needs the real data`);
}
