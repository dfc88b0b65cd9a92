import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The administrator's key that the server made at its first start and keeps in its data directory. */
export function readStoredKey(dataDir: string): string | undefined {
  try {
    const key = readFileSync(join(dataDir, 'api-key'), 'utf8').trim();
    return key === '' ? undefined : key;
  } catch {
    return undefined;
  }
}
