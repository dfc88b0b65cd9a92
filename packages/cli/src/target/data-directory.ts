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

/** Where the server of this data directory says that it listens; it may have been killed since. */
export function readServedUrl(dataDir: string): URL | undefined {
  try {
    const holder: unknown = JSON.parse(readFileSync(join(dataDir, 'running.json'), 'utf8'));
    if (typeof holder !== 'object' || holder === null || !('url' in holder)) return undefined;
    return typeof holder.url === 'string' && URL.canParse(holder.url) ? new URL(holder.url) : undefined;
  } catch {
    return undefined;
  }
}
