import { isRefusing, type PolicyAction, strictness } from './actions.ts';
import { type Condition, isAtLeast, readCondition } from './condition.ts';
import type { PolicyDocument, PolicyInputs, PolicyRung } from './policy-document.ts';

export type CompiledPolicy = {
  readonly key: string;
  readonly version: number;
  readonly document: PolicyDocument;
  readonly condition: Condition | undefined;
};

/** @throws RangeError when the condition does not hold together; published documents have been checked. */
export function compilePolicy(key: string, version: number, document: PolicyDocument): CompiledPolicy {
  if (document.condition === undefined) return { key, version, document, condition: undefined };
  const read = readCondition(document.condition);
  if (!read.ok) throw new RangeError(`the condition of policy ${key} version ${version} ${read.error}`);
  return { key, version, document, condition: read.condition };
}

/** A policy that applied, and what it asked for. */
export type Match = {
  readonly policy: string;
  readonly version: number;
  readonly mode: 'shadow' | 'warn' | 'enforce';
  readonly action: PolicyAction;
  readonly reason: string | null;
  readonly max_output_tokens?: number;
  readonly model?: string;
  readonly parallelism?: number;
  readonly tag?: string;
  /** Why it could not be asked; it then counts as its on_error says. */
  readonly error?: string;
};

/** What was decided; `allow` when no enforced policy applied. */
export type PolicyResult = {
  readonly action: PolicyAction | 'allow';
  readonly is_admitted: boolean;
  readonly max_output_tokens: number | null;
  readonly model: string | null;
  readonly parallelism: number | null;
  readonly matches: readonly Match[];
  /** What it had been with the shadow policies enforced. */
  readonly shadow: {
    readonly action: PolicyAction | 'allow';
    readonly is_admitted: boolean;
    readonly differs: boolean;
  };
};

/**
 * Decides by every policy, in key order. The strictest enforced action wins; of several caps the lowest, of several models that of the
 * first policy. Pure and total: the same policies, inputs and instant decide alike, so a record of the three can be replayed.
 *
 * @param at microseconds since 1970.
 */
export function decide(policies: readonly CompiledPolicy[], inputs: PolicyInputs, at: number): PolicyResult {
  const matches = policies
    .toSorted((a, b) => (a.key < b.key ? -1 : 1))
    .flatMap((policy) => {
      const match = matchOf(policy, inputs, at);
      return match === undefined ? [] : [match];
    });
  const enforced = matches.filter(({ mode }) => mode === 'enforce');
  const action = strictest(enforced);
  const shadowed = strictest(matches.filter(({ mode }) => mode !== 'warn'));
  return {
    action,
    is_admitted: isAdmitted(action),
    max_output_tokens: least(enforced.map((match) => match.max_output_tokens)),
    model: enforced.find((match) => match.model !== undefined)?.model ?? null,
    parallelism: least(enforced.map((match) => match.parallelism)),
    matches,
    shadow: { action: shadowed, is_admitted: isAdmitted(shadowed), differs: shadowed !== action },
  };
}

function matchOf(policy: CompiledPolicy, inputs: PolicyInputs, at: number): Match | undefined {
  const { key, version, document } = policy;
  if (!isInScope(document, inputs)) return undefined;
  const base = { policy: key, version, mode: document.mode };
  try {
    if (policy.condition !== undefined && !policy.condition(inputs, at)) return undefined;
    const rung = rungOf(document, inputs);
    return rung === undefined ? undefined : { ...base, ...wordsOf(rung) };
  } catch (error) {
    const text = error instanceof Error ? (error.message.split('\n')[0] ?? '').slice(0, 200) : 'failed';
    const action = document.on_error === 'closed' ? 'refuse' : 'record';
    return { ...base, action, reason: null, error: text };
  }
}

function isInScope({ scope }: PolicyDocument, inputs: PolicyInputs): boolean {
  const { customer, team, user, feature, provider, model, agent, run_id, work_item, event_type } = inputs;
  return (
    matches(scope.customer, customer) &&
    matches(scope.team, team) &&
    matches(scope.user, user) &&
    matches(scope.feature, feature) &&
    matches(scope.provider, provider) &&
    matches(scope.model, model) &&
    matches(scope.agent, agent) &&
    matches(scope.run_id, run_id) &&
    matches(scope.work_item, work_item) &&
    matches(scope.event_type, event_type)
  );
}

function matches(pattern: string | readonly string[] | undefined, value: string | undefined): boolean {
  if (pattern === undefined) return true;
  if (value === undefined) return false;
  const patterns = typeof pattern === 'string' ? [pattern] : pattern;
  return patterns.some((one) => (one.endsWith('*') ? value.startsWith(one.slice(0, -1)) : one === value));
}

/** The highest rung that the metric has reached; a rung that requires a tag applies only where it is missing. */
function rungOf({ metric, ladder }: PolicyDocument, inputs: PolicyInputs): PolicyRung | undefined {
  const applies = (rung: PolicyRung): boolean => rung.tag === undefined || inputs.tags[rung.tag] === undefined;
  if (metric === undefined) return ladder.find(applies);
  const value = inputs.metrics[metric];
  if (value === undefined) throw new RangeError(`the metric ${metric} is missing`);
  return ladder.findLast((rung) => rung.at_least !== undefined && isAtLeast(value, rung.at_least) && applies(rung));
}

function wordsOf(rung: PolicyRung): Pick<Match, 'action' | 'reason'> & Partial<Match> {
  return {
    action: rung.action,
    reason: rung.reason ?? null,
    ...(rung.max_output_tokens !== undefined && { max_output_tokens: rung.max_output_tokens }),
    ...(rung.model !== undefined && { model: rung.model }),
    ...(rung.parallelism !== undefined && { parallelism: rung.parallelism }),
    ...(rung.tag !== undefined && { tag: rung.tag }),
  };
}

function strictest(found: readonly Match[]): PolicyAction | 'allow' {
  let action: PolicyAction | 'allow' = 'allow';
  for (const match of found) {
    if (action === 'allow' || strictness(match.action) > strictness(action)) action = match.action;
  }
  return action;
}

function isAdmitted(action: PolicyAction | 'allow'): boolean {
  return action === 'allow' || !isRefusing(action);
}

function least(values: readonly (number | undefined)[]): number | null {
  const given = values.flatMap((value) => (value === undefined ? [] : [value]));
  return given.length === 0 ? null : Math.min(...given);
}
