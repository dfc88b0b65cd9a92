import { type CompiledMeter, compileMeter, meterSchema } from '../catalog/custom-meter.ts';
import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import type { Queryable } from '../store/database.ts';

/** The catalog with its archived meters too: what they counted is charged like anything else. A live meter of the same key wins. */
export async function withEveryMeter(db: Queryable, catalog: CatalogSnapshot): Promise<CatalogSnapshot> {
  const result = await db.query<{ id: bigint; key: string; spec: unknown }>(
    'select distinct on (key) id, key, spec from meter where environment_id = $1 and archived_at is not null order by key, id desc',
    [catalog.environmentId],
  );
  const live = new Set(catalog.meters.map(({ key }) => key));
  const archived: CompiledMeter[] = result.rows
    .filter(({ key }) => !live.has(key))
    .map((row) => compileMeter(Number(row.id), row.key, meterSchema.parse(row.spec)));
  return archived.length === 0 ? catalog : { ...catalog, meters: [...catalog.meters, ...archived] };
}
