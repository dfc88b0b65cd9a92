import type { AppServices } from '../http/context.ts';
import { ProblemError } from '../http/problem.ts';
import { type Decided, decideAndRecord } from '../policies/index.ts';
import type { Amounts } from './hold-request.ts';
import type { HoldBody } from './schemas.ts';

export type Asked = {
  /** The lowest output bound that a policy allows. */
  readonly maxOutputTokens: number | undefined;
  readonly flags: readonly string[];
  /** What a policy of that revision refuses with; not for a hold that is there already, which is a repeat. */
  readonly refusal: ProblemError | undefined;
};

/** Asks the policies of a catalog revision about a hold, on the record. An environment without policies pays nothing. */
export async function askPolicies(
  services: AppServices,
  environmentId: number,
  revision: bigint,
  body: HoldBody,
  amounts: Amounts,
): Promise<Asked> {
  const { customer, team, user, feature, provider, model, agent, run_id, work_item } = body;
  const inputs = {
    ...{ customer, team, user, feature, provider, model, agent, run_id, work_item },
    tags: body.tags ?? {},
    metrics: {
      ...amounts,
      ...(body.output !== undefined && { max_output_tokens: String(body.output.max_tokens) }),
    },
  };
  const question = { place: 'hold', subject: body.id, inputs } as const;
  const { pool } = services.database;
  const [decided] = await decideAndRecord(pool, services.policies, environmentId, [question], {
    now: services.clocks.now(environmentId),
    revision,
  });
  if (decided === undefined) throw new Error('a question had no answer');
  const isRefused = !decided.is_admitted && !(await isHeld(services, environmentId, body.id));
  return {
    refusal: isRefused ? refusedBy(decided) : undefined,
    maxOutputTokens: decided.max_output_tokens ?? undefined,
    flags: decided.matches
      .filter(({ mode }) => mode !== 'shadow')
      .map(({ policy, mode, action }) => `policy:${policy}:${mode === 'warn' ? 'warn:' : ''}${action}`),
  };
}

async function isHeld(services: AppServices, environmentId: number, id: string): Promise<boolean> {
  const result = await services.database.pool.query('select from hold where environment_id = $1 and id = $2', [
    environmentId,
    id,
  ]);
  return result.rowCount === 1;
}

function refusedBy(decided: Decided): ProblemError {
  const match = decided.matches.find(({ mode, action }) => mode === 'enforce' && action === decided.action);
  const reason = match?.reason ?? match?.error;
  return new ProblemError({
    code: 'policy_refused',
    detail: `the policy ${match?.policy ?? ''} says ${decided.action}${reason === undefined || reason === null ? '' : `: ${reason}`}`,
    members: {
      scope: { kind: 'policy', key: match?.policy ?? '', version: match?.version ?? 0 },
      action: decided.action,
      decision: decided.id,
    },
  });
}
