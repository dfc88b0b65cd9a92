import { LIMITS } from '../limits.ts';
import type { Queryable } from '../store/database.ts';
import type { MeasuredPoint } from './compile-deployment.ts';

export type ObservationRow = {
  id: bigint;
  key: string;
  observed_at: string;
  created_at: string;
  concurrency: number;
  input_tokens: bigint;
  cached_tokens: bigint;
  output_tokens: bigint;
  seconds_per_output_token: string;
  source: string | null;
};

const COLUMNS =
  'id, key, observed_at, created_at, concurrency, input_tokens, cached_tokens, output_tokens, seconds_per_output_token, source';

export function pointOf(row: ObservationRow): MeasuredPoint {
  return {
    concurrency: row.concurrency,
    newTokens: Number(row.input_tokens),
    cachedTokens: Number(row.cached_tokens),
    outputTokens: Number(row.output_tokens),
    // A measured time is no money: the model it corrects is float64 itself.
    secondsPerOutputToken: Number(row.seconds_per_output_token),
  };
}

/** The latest points of every deployment, oldest first, as many as a calibration folds. */
export async function latestPoints(db: Queryable, environmentId: number): Promise<Map<string, MeasuredPoint[]>> {
  const result = await db.query<ObservationRow>(
    `select ${COLUMNS} from (
       select *, row_number() over (partition by key order by observed_at desc, id desc) as rank
       from deployment_observation where environment_id = $1) o
     where rank <= ${LIMITS.observationsFoldedMax} order by observed_at, id`,
    [environmentId],
  );
  const byKey = new Map<string, MeasuredPoint[]>();
  for (const row of result.rows) {
    const points = byKey.get(row.key);
    if (points === undefined) byKey.set(row.key, [pointOf(row)]);
    else points.push(pointOf(row));
  }
  return byKey;
}

/** The latest points of one deployment, oldest first. */
export async function latestPointsOf(db: Queryable, environmentId: number, key: string): Promise<MeasuredPoint[]> {
  const result = await db.query<ObservationRow>(
    `select ${COLUMNS} from deployment_observation where environment_id = $1 and key = $2
     order by observed_at desc, id desc limit ${LIMITS.observationsFoldedMax}`,
    [environmentId, key],
  );
  return result.rows.map(pointOf).toReversed();
}

/** Newest first. */
export async function listObservations(
  db: Queryable,
  environmentId: number,
  key: string,
  before: bigint | undefined,
  limit: number,
): Promise<ObservationRow[]> {
  const result = await db.query<ObservationRow>(
    `select ${COLUMNS} from deployment_observation
     where environment_id = $1 and key = $2 and ($3::int8 is null or id < $3) order by id desc limit $4`,
    [environmentId, key, before ?? null, limit],
  );
  return result.rows;
}

export type NewObservation = {
  readonly observed_at: string;
  readonly concurrency: number;
  readonly input_tokens: number;
  readonly cached_tokens: number;
  readonly output_tokens: number;
  readonly seconds_per_output_token: string;
  readonly source: string | null;
};

export async function insertObservations(
  db: Queryable,
  environmentId: number,
  key: string,
  points: readonly NewObservation[],
): Promise<ObservationRow[]> {
  const result = await db.query<ObservationRow>(
    `insert into deployment_observation (environment_id, key, observed_at, concurrency, input_tokens, cached_tokens,
       output_tokens, seconds_per_output_token, source)
     select $1, $2, p.* from jsonb_to_recordset($3::jsonb) as p(observed_at timestamptz, concurrency int4, input_tokens int8,
       cached_tokens int8, output_tokens int8, seconds_per_output_token numeric, source text)
     returning ${COLUMNS}`,
    [environmentId, key, JSON.stringify(points)],
  );
  return result.rows;
}
