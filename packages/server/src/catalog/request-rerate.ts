import type { Queryable } from '../store/database.ts';
import { instantArray, int8Array, textArray } from '../store/pg-arrays.ts';

export type RerateRequest = {
  /** Absent: every customer. */
  readonly customerIds?: readonly number[] | undefined;
  /** Event time, `[from, to)`, microseconds since 1970. */
  readonly from: number;
  readonly to: number;
  /** Only events with usage of one of these. */
  readonly meters?: readonly string[] | undefined;
  readonly onlyUnrated: boolean;
  readonly isDryRun: boolean;
  readonly isAutomatic: boolean;
  readonly requestedBy: string;
  /** Microseconds since 1970. */
  readonly at: number;
};

/** Asks for a re-rating; a job of the rerate module carries it out. @returns its id. */
export async function requestRerate(db: Queryable, environmentId: number, request: RerateRequest): Promise<bigint> {
  const { customerIds, meters } = request;
  const result = await db.query<{ id: bigint }>(
    `insert into rerate (environment_id, customer_ids, time_from, time_to, meters, only_unrated, is_dry_run, is_automatic, requested_by, requested_at)
     values ($1, $2::int8[], ($3::timestamptz[])[1], ($3::timestamptz[])[2], $4::text[], $5, $6, $7, $8, ($3::timestamptz[])[3]) returning id`,
    [
      environmentId,
      customerIds === undefined ? null : int8Array(customerIds),
      instantArray([request.from, request.to, request.at]),
      meters === undefined ? null : textArray(meters),
      request.onlyUnrated,
      request.isDryRun,
      request.isAutomatic,
      request.requestedBy,
    ],
  );
  const id = result.rows[0]?.id;
  if (id === undefined) throw new Error('the re-rating was not requested');
  return id;
}
