import { formatInstant } from '../event/instant.ts';
import type { Queryable } from '../store/database.ts';
import { type CompiledPolicy, compilePolicy } from './decide.ts';
import { type PolicyDocument, policyDocument } from './policy-document.ts';

export type PolicyRow = {
  key: string;
  version: number;
  document: PolicyDocument;
  created_at: string;
  ended_at: string | null;
};

const COLUMNS = 'p.key, v.version, v.document, v.created_at, p.ended_at';
const IN_FORCE = `policy p join policy_version v on v.environment_id = p.environment_id and v.key = p.key and v.version = p.version`;

/** Those in force, by key; there are few. */
export async function listPolicies(db: Queryable, environmentId: number): Promise<PolicyRow[]> {
  const result = await db.query<PolicyRow>({
    name: 'policies',
    text: `select ${COLUMNS} from ${IN_FORCE} where p.environment_id = $1 and p.ended_at is null order by p.key collate "C"`,
    values: [environmentId],
  });
  return result.rows;
}

/** In force or ended. */
export async function findPolicy(db: Queryable, environmentId: number, key: string): Promise<PolicyRow | undefined> {
  const result = await db.query<PolicyRow>(
    `select ${COLUMNS} from ${IN_FORCE} where p.environment_id = $1 and p.key = $2`,
    [environmentId, key],
  );
  return result.rows[0];
}

/** Newest first. A version ended when the next one was published, the last when the policy did. */
export async function listVersions(
  db: Queryable,
  environmentId: number,
  key: string,
  { before, limit }: { before: bigint | undefined; limit: number },
): Promise<PolicyRow[]> {
  const result = await db.query<PolicyRow>(
    `select v.key, v.version, v.document, v.created_at, coalesce(n.created_at, p.ended_at) as ended_at
     from policy_version v join policy p on p.environment_id = v.environment_id and p.key = v.key
       left join policy_version n on n.environment_id = v.environment_id and n.key = v.key and n.version = v.version + 1
     where v.environment_id = $1 and v.key = $2 and ($3::int8 is null or v.version < $3) order by v.version desc limit $4`,
    [environmentId, key, before ?? null, limit],
  );
  return result.rows;
}

/** The next version. The caller holds the catalog's lock, so versions count without gaps. */
export async function publishPolicy(
  db: Queryable,
  environmentId: number,
  key: string,
  document: PolicyDocument,
  now: number,
): Promise<void> {
  const result = await db.query<{ version: number }>(
    `insert into policy_version (environment_id, key, version, document, created_at)
     select $1, $2, coalesce(max(version), 0) + 1, $3::jsonb, $4 from policy_version where environment_id = $1 and key = $2
     returning version`,
    [environmentId, key, JSON.stringify(document), formatInstant(now)],
  );
  await db.query(
    `insert into policy (environment_id, key, version) values ($1, $2, $3)
     on conflict (environment_id, key) do update set version = excluded.version, ended_at = null`,
    [environmentId, key, result.rows[0]?.version],
  );
}

export async function endPolicy(db: Queryable, environmentId: number, key: string, now: number): Promise<boolean> {
  const result = await db.query(
    'update policy set ended_at = $3 where environment_id = $1 and key = $2 and ended_at is null',
    [environmentId, key, formatInstant(now)],
  );
  return result.rowCount === 1;
}

/** Versions by `key/version`, as they were recorded with decisions. */
export async function compiledVersions(
  db: Queryable,
  environmentId: number,
  named: readonly { readonly key: string; readonly version: number }[],
): Promise<Map<string, CompiledPolicy>> {
  const result = await db.query<{ key: string; version: number; document: unknown }>(
    `select v.key, v.version, v.document from policy_version v
     join unnest($2::text[], $3::int[]) as n(k, i) on v.key = n.k and v.version = n.i where v.environment_id = $1`,
    [environmentId, named.map(({ key }) => key), named.map(({ version }) => version)],
  );
  return new Map(
    result.rows.map(({ key, version, document }) => [
      `${key}/${version}`,
      compilePolicy(key, version, policyDocument.parse(document)),
    ]),
  );
}

/** Policies of a service by environment, compiled once a version. */
export type PolicyCache = Map<
  number,
  { readonly versions: string; readonly policies: readonly CompiledPolicy[]; revision: bigint | undefined }
>;

/**
 * What is in force now. Documents that have not changed are not compiled again; at a catalog revision that was seen nothing is
 * read, because every publish raises it.
 */
export async function policiesInForce(
  db: Queryable,
  environmentId: number,
  cache: PolicyCache,
  revision: bigint | undefined,
): Promise<readonly CompiledPolicy[]> {
  const known = cache.get(environmentId);
  if (known !== undefined && revision !== undefined && known.revision === revision) return known.policies;
  const rows = await listPolicies(db, environmentId);
  const versions = rows.map(({ key, version }) => `${key}/${version}`).join(' ');
  if (known?.versions === versions) {
    known.revision = revision ?? known.revision;
    return known.policies;
  }
  const policies = rows.map(({ key, version, document }) =>
    compilePolicy(key, version, policyDocument.parse(document)),
  );
  if (cache.size > 1_000) cache.clear();
  cache.set(environmentId, { versions, policies, revision });
  return policies;
}
