import { formatInstant, microsFromPostgres } from '../event/instant.ts';
import type { Queryable } from '../store/database.ts';
import type { PolicyResult } from './decide.ts';
import type { PolicyInputs } from './policy-document.ts';

export type NamedVersion = { readonly key: string; readonly version: number };

export type NewDecision = {
  readonly at: number;
  /** Where it was asked: `request`, `hold`. */
  readonly place: string;
  /** What it was about: the id of a hold. */
  readonly subject: string | null;
  readonly inputs: PolicyInputs;
  readonly policies: readonly NamedVersion[];
  readonly result: PolicyResult;
};

export type DecisionRow = {
  id: bigint;
  at: string;
  place: string;
  subject: string | null;
  customer: string | null;
  inputs: PolicyInputs;
  policies: NamedVersion[];
  result: PolicyResult;
};

/** Writes decisions in the caller's transaction, one statement for all. @returns their ids, in order. */
export async function keepDecisions(
  db: Queryable,
  environmentId: number,
  decisions: readonly NewDecision[],
): Promise<bigint[]> {
  const result = await db.query<{ id: bigint }>(
    `insert into policy_decision (environment_id, at, place, subject, customer, inputs, policies, action, result)
     select $1, (d ->> 'at')::timestamptz, d ->> 'place', d ->> 'subject', d -> 'inputs' ->> 'customer', d -> 'inputs', d -> 'policies',
       d -> 'result' ->> 'action', d -> 'result'
     from jsonb_array_elements($2::jsonb) with ordinality as s(d, n) order by n returning id`,
    [environmentId, JSON.stringify(decisions.map((one) => ({ ...one, at: formatInstant(one.at) })))],
  );
  return result.rows.map(({ id }) => id);
}

const COLUMNS = 'id, at, place, subject, customer, inputs, policies, result';

export type DecisionFilter = {
  readonly from?: number | undefined;
  readonly to?: number | undefined;
  readonly customer?: string | undefined;
  readonly action?: string | undefined;
  /** Only those that this policy was asked about. */
  readonly policy?: string | undefined;
};

/** Newest first. */
export async function listDecisions(
  db: Queryable,
  environmentId: number,
  filter: DecisionFilter,
  { before, limit }: { before: bigint | undefined; limit: number },
): Promise<DecisionRow[]> {
  const result = await db.query<DecisionRow>(
    `select ${COLUMNS} from policy_decision where environment_id = $1 and ($2::int8 is null or id < $2)
       and ($3::timestamptz is null or at >= $3) and ($4::timestamptz is null or at < $4)
       and ($5::text is null or customer = $5) and ($6::text is null or action = $6)
       and ($7::text is null or policies @> jsonb_build_array(jsonb_build_object('key', $7::text)))
     order by id desc limit $8`,
    [
      environmentId,
      before ?? null,
      filter.from === undefined ? null : formatInstant(filter.from),
      filter.to === undefined ? null : formatInstant(filter.to),
      filter.customer ?? null,
      filter.action ?? null,
      filter.policy ?? null,
      limit,
    ],
  );
  return result.rows;
}

export async function findDecision(db: Queryable, environmentId: number, id: string): Promise<DecisionRow | undefined> {
  const result = await db.query<DecisionRow>(
    `select ${COLUMNS} from policy_decision where environment_id = $1 and id = $2`,
    [environmentId, id],
  );
  return result.rows[0];
}

export function decidedAt(row: DecisionRow): number {
  return microsFromPostgres(row.at);
}
