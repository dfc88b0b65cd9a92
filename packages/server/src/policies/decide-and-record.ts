import { enqueue, type OutboxEvent } from '../outbox/index.ts';
import type { Queryable } from '../store/database.ts';
import { decide, type PolicyResult } from './decide.ts';
import { keepDecisions } from './decision-store.ts';
import type { PolicyInputs } from './policy-document.ts';
import { policiesInForce, type PolicyCache } from './policy-store.ts';

/** One thing to be decided on. */
export type Question = {
  readonly place: 'request' | 'hold';
  readonly subject: string | null;
  readonly inputs: PolicyInputs;
};

export type Decided = PolicyResult & { readonly id: string | null };

const HOUR_MICROS = 3_600_000_000;

const ALLOWED: Decided = {
  id: null,
  action: 'allow',
  is_admitted: true,
  max_output_tokens: null,
  model: null,
  parallelism: null,
  matches: [],
  shadow: { action: 'allow', is_admitted: true, differs: false },
};

/**
 * Decides on requests by the policies in force and records each decision with its inputs, in the caller's transaction. An
 * environment without policies records nothing.
 *
 * @param now microseconds since 1970.
 * @param revision of the catalog, where the caller's own transaction checks that it still holds: then nothing is read while it does.
 */
export async function decideAndRecord(
  db: Queryable,
  cache: PolicyCache,
  environmentId: number,
  questions: readonly Question[],
  { now, revision }: { readonly now: number; readonly revision?: bigint },
): Promise<Decided[]> {
  const policies = await policiesInForce(db, environmentId, cache, revision);
  if (policies.length === 0) return questions.map(() => ALLOWED);
  const named = policies.map(({ key, version }) => ({ key, version }));
  const results = questions.map(({ inputs }) => decide(policies, inputs, now));
  const decisions = questions.map((question, index) => ({
    ...question,
    at: now,
    policies: named,
    result: results[index] ?? ALLOWED,
  }));
  const ids = await keepDecisions(db, environmentId, decisions);
  await enqueue(
    db,
    environmentId,
    questions.flatMap((question, index) => notices(question, results[index] ?? ALLOWED, String(ids[index]), now)),
    now,
  );
  return results.map((result, index) => ({ ...result, id: ids[index]?.toString() ?? null }));
}

/** A policy tells somebody once an hour and customer, however many requests it applies to. */
function notices(question: Question, result: PolicyResult, decision: string, now: number): OutboxEvent[] {
  const { customer } = question.inputs;
  const hour = Math.floor(now / HOUR_MICROS);
  return result.matches
    .filter(({ action, mode, error }) => mode === 'enforce' && error === undefined && action === 'notify')
    .map(({ policy, version, reason }) => ({
      type: 'policy.decision',
      crossingKey: `policy/${policy}/${customer ?? ''}/${hour}`,
      customer,
      data: { policy, version, reason, decision, customer: customer ?? null, inputs: question.inputs },
    }));
}
