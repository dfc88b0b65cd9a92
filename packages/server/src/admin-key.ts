import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bootstrapAdminKey } from './http/access/bootstrap-admin-key.ts';
import type { Database } from './store/database.ts';

const KEY_FILE = 'api-key';

/**
 * Makes sure that somebody can administer the service. `ERGON_API_KEY` is the last word; without it a key is made at the first
 * start, kept in the data directory for the CLI, and returned to be printed once.
 */
export async function ensureAdminKey(
  database: Database,
  dataDir: string,
  given: string | undefined,
): Promise<string | undefined> {
  if (given !== undefined) return bootstrapAdminKey(database, given);
  const stored = readStoredKey(dataDir);
  if (stored !== undefined) {
    await bootstrapAdminKey(database, stored);
    return undefined;
  }
  const made = await bootstrapAdminKey(database);
  if (made !== undefined) writeFileSync(join(dataDir, KEY_FILE), `${made}\n`, { mode: 0o600 });
  return made;
}

function readStoredKey(dataDir: string): string | undefined {
  try {
    const text = readFileSync(join(dataDir, KEY_FILE), 'utf8').trim();
    return text === '' ? undefined : text;
  } catch {
    return undefined;
  }
}
