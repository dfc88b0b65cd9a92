import type { RecordServices } from '../record/record-services.ts';
import type { Database } from '../store/database.ts';
import { type CatalogSnapshot, catalogRevision, loadSnapshot } from './snapshot.ts';

/** The remembered catalog where it is the present one: never one older than a publish that was answered. */
export async function currentSnapshot(
  { database, record }: { readonly database: Database; readonly record: RecordServices },
  environmentId: number,
): Promise<CatalogSnapshot> {
  const known = await record.catalog(environmentId);
  if ((await catalogRevision(database.pool, environmentId)) === known.revision) return known;
  const loaded = await loadSnapshot(database.pool, environmentId);
  record.rememberCatalog(loaded);
  return loaded;
}
