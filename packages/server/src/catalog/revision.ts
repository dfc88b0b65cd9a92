import type { Client } from '../store/database.ts';

/**
 * Waits until no transaction rates with the present catalog, and lets none begin until this transaction ends. Every change of
 * what metering or rating reads begins with it (DESIGN section 9: after a publish is answered, no answer anywhere uses the
 * old revision).
 */
export async function lockCatalog(client: Client, environmentId: number): Promise<void> {
  await client.query('select from ergon_open($1, true)', [environmentId]);
}

/** Makes every process read the catalog again before it rates the next event. Under {@link lockCatalog}. */
export async function raiseRevision(client: Client, environmentId: number): Promise<void> {
  await client.query('update environment set catalog_revision = catalog_revision + 1 where id = $1', [environmentId]);
  // Leases were taken under the old one: told at the commit.
  await client.query("select pg_notify('ergon_leases', $1)", [JSON.stringify({ environment: environmentId })]);
}
