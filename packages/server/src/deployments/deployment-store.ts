import type { Queryable } from '../store/database.ts';
import { latestVersion, VERSION_COLUMNS, type VersionRow, versionsOf } from '../store/version-rows.ts';
import { type CompiledDeployment, compileDeployment } from './compile-deployment.ts';
import { deploymentSpec } from './schemas.ts';

export type DeploymentRow = VersionRow;

/** By the text of the spec: what a spec compiles to depends on nothing else. */
const compiledSpecs = new Map<string, CompiledDeployment>();
const SPECS_CACHED_MAX = 10_000;

export function compiledRow(row: DeploymentRow): CompiledDeployment {
  const text = JSON.stringify(row.spec);
  const known = compiledSpecs.get(text);
  if (known !== undefined) return known;
  const compiled = compileDeployment(deploymentSpec.parse(row.spec));
  if (!compiled.ok) throw new Error(`deployment version ${row.id} does not compile: ${compiled.fault.detail}`);
  if (compiledSpecs.size >= SPECS_CACHED_MAX) compiledSpecs.clear();
  compiledSpecs.set(text, compiled.value);
  return compiled.value;
}

/** Every version of every deployment, newest effective first. */
export async function listAllVersions(db: Queryable, environmentId: number): Promise<DeploymentRow[]> {
  const result = await db.query<DeploymentRow>(
    `select ${VERSION_COLUMNS} from deployment_version where environment_id = $1 order by effective_from desc, id desc`,
    [environmentId],
  );
  return result.rows;
}

/** Latest versions, by key. */
export async function listLatest(
  db: Queryable,
  environmentId: number,
  after: string | undefined,
  limit: number,
): Promise<DeploymentRow[]> {
  const result = await db.query<DeploymentRow>(
    `select distinct on (key collate "C") ${VERSION_COLUMNS} from deployment_version
     where environment_id = $1 and ($2::text is null or key collate "C" > $2)
     order by key collate "C", version desc limit $3`,
    [environmentId, after ?? null, limit],
  );
  return result.rows;
}

/** Versions of one deployment, newest first. */
export async function listVersions(
  db: Queryable,
  environmentId: number,
  key: string,
  before: bigint | undefined,
  limit: number,
): Promise<DeploymentRow[]> {
  return versionsOf(db, 'deployment_version', { environmentId, key }, { before, limit });
}

/** Every version of one deployment, newest effective first; of two from one instant the later published comes first. */
export async function versionsByInstant(db: Queryable, environmentId: number, key: string): Promise<DeploymentRow[]> {
  const result = await db.query<DeploymentRow>(
    `select ${VERSION_COLUMNS} from deployment_version where environment_id = $1 and key = $2 order by effective_from desc, id desc`,
    [environmentId, key],
  );
  return result.rows;
}

/** The latest version, and whether `spec` is its very spec. */
export async function findLatest(
  db: Queryable,
  environmentId: number,
  key: string,
  spec: unknown = null,
): Promise<(DeploymentRow & { is_same: boolean | null }) | undefined> {
  return latestVersion(db, 'deployment_version', { environmentId, key }, spec);
}

export async function countDeployments(db: Queryable, environmentId: number): Promise<number> {
  const result = await db.query<{ count: bigint }>(
    'select count(distinct key) as count from deployment_version where environment_id = $1',
    [environmentId],
  );
  return Number(result.rows[0]?.count ?? 0n);
}

export async function insertVersion(
  db: Queryable,
  environmentId: number,
  row: { key: string; version: number; effectiveFrom: string; deployment: CompiledDeployment },
): Promise<DeploymentRow> {
  const { spec, source } = row.deployment;
  const result = await db.query<DeploymentRow>(
    `insert into deployment_version (environment_id, key, version, effective_from, spec, model_hash, device_count)
     values ($1, $2, $3, $4, $5::jsonb, $6, $7) returning ${VERSION_COLUMNS}`,
    [environmentId, row.key, row.version, row.effectiveFrom, JSON.stringify(spec), source.hash, spec.accelerator_count],
  );
  const [inserted] = result.rows;
  if (inserted === undefined) throw new Error('the deployment version was not inserted');
  return inserted;
}
