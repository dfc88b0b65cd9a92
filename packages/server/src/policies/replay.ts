import type { Queryable } from '../store/database.ts';
import { compilePolicy, type CompiledPolicy, decide, type PolicyResult } from './decide.ts';
import { decidedAt, type DecisionRow, type NamedVersion } from './decision-store.ts';
import type { PolicyDocument } from './policy-document.ts';
import { compiledVersions } from './policy-store.ts';

export type ReplayedDecision = {
  readonly row: DecisionRow;
  readonly replayed: PolicyResult;
  readonly differs: boolean;
};

/**
 * Decides recorded decisions again, on their recorded inputs, instants and versions; with a document, that one stands in the
 * place of the policy's recorded version. Without one, every decision must come out as it was: pure code on recorded inputs.
 */
export async function replayDecisions(
  db: Queryable,
  environmentId: number,
  rows: readonly DecisionRow[],
  proposed: { readonly key: string; readonly document: PolicyDocument } | undefined,
): Promise<ReplayedDecision[]> {
  const named = new Map<string, NamedVersion>();
  for (const row of rows) for (const one of row.policies) named.set(`${one.key}/${one.version}`, one);
  const versions = await compiledVersions(db, environmentId, [...named.values()]);
  const stand = proposed && compilePolicy(proposed.key, 0, proposed.document);
  return rows.map((row) => {
    const policies = row.policies.flatMap(({ key, version }): CompiledPolicy[] => {
      const known = stand !== undefined && key === stand.key ? stand : versions.get(`${key}/${version}`);
      return known === undefined ? [] : [known];
    });
    const replayed = decide(policies, row.inputs, decidedAt(row));
    return { row, replayed, differs: outcome(replayed) !== outcome(row.result) };
  });
}

/** What a decision did, without the versions' names. */
function outcome(result: PolicyResult): string {
  const { action, is_admitted, max_output_tokens, model, parallelism } = result;
  return JSON.stringify([action, is_admitted, max_output_tokens, model, parallelism]);
}
