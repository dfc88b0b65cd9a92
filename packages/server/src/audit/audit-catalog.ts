import type { CompiledMeter } from '../catalog/custom-meter.ts';
import { compileMeter, meterSchema } from '../catalog/custom-meter.ts';
import { type CardVersion, type CatalogSnapshot, loadSnapshot } from '../catalog/snapshot.ts';
import { microsFromPostgres } from '../event/instant.ts';
import type { Queryable } from '../store/database.ts';

type DatedMeter = { readonly meter: CompiledMeter; readonly createdAt: number; readonly isArchived: boolean };

/** The catalog as events of any age need it: every version of every card, and every meter there ever was. */
export type AuditCatalog = {
  /** Its meters include the archived ones. */
  readonly snapshot: CatalogSnapshot;
  readonly versions: ReadonlyMap<number, CardVersion>;
  readonly archived: ReadonlySet<number>;
  /** The meter that bore a key when an event was received. */
  meterAt(key: string, receivedAt: number): CompiledMeter | undefined;
};

export async function loadAuditCatalog(db: Queryable, environmentId: number): Promise<AuditCatalog> {
  const live = await loadSnapshot(db, environmentId);
  const rows = await db.query<{
    id: bigint;
    key: string;
    spec: unknown;
    created_at: string;
    archived_at: string | null;
  }>('select id, key, spec, created_at, archived_at from meter where environment_id = $1 order by id', [environmentId]);
  const byKey = new Map<string, DatedMeter[]>();
  const archived = new Set<number>();
  const meters: CompiledMeter[] = [];
  for (const row of rows.rows) {
    const meter = compileMeter(Number(row.id), row.key, meterSchema.parse(row.spec));
    const isArchived = row.archived_at !== null;
    if (isArchived) archived.add(meter.id);
    meters.push(meter);
    const dated = { meter, createdAt: microsFromPostgres(row.created_at), isArchived };
    byKey.set(row.key, [...(byKey.get(row.key) ?? []), dated]);
  }
  return {
    snapshot: { ...live, meters },
    versions: new Map([...live.cards.values()].flat().map((version) => [version.id, version])),
    archived,
    meterAt(key, receivedAt) {
      const known = byKey.get(key) ?? [];
      return (known.findLast((one) => one.createdAt <= receivedAt) ?? known[0])?.meter;
    },
  };
}
