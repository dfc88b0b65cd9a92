import { compare, decimal, parseDecimal } from '@ergon/exact';
import { Environment } from '@marcbachmann/cel-js';
import { LIMITS } from '../limits.ts';
import type { PolicyInputs } from './policy-document.ts';

/** A condition that was read and checked; asking it cannot fail by its type, only by its inputs (a metric that is missing). */
export type Condition = (inputs: PolicyInputs, at: number) => boolean;

const STRINGS = [
  ...['customer', 'team', 'user', 'feature', 'provider', 'model', 'agent', 'run_id', 'work_item', 'event_type'],
] as const;

/** Decimals are compared exactly and as text: CEL's own numbers are doubles and 64-bit integers, which money and FLOPs are not. */
const environment = STRINGS.reduce(
  (one, variable) => one.registerVariable(variable, 'string'),
  new Environment({
    limits: {
      maxAstNodes: LIMITS.conditionNodesMax,
      maxDepth: LIMITS.conditionDepthMax,
      maxListElements: 50,
      maxMapEntries: 50,
      maxCallArguments: 8,
    },
  }),
)
  .registerVariable('tags', 'map<string, string>')
  .registerVariable('metrics', 'map<string, string>')
  .registerVariable('at', 'google.protobuf.Timestamp')
  .registerFunction('atLeast(string, string): bool', (a: string, b: string) => compare(exact(a), exact(b)) >= 0)
  .registerFunction('lessThan(string, string): bool', (a: string, b: string) => compare(exact(a), exact(b)) < 0);

function exact(text: string) {
  const value = text.length <= 80 ? parseDecimal(text) : undefined;
  if (value === undefined) throw new RangeError(`${JSON.stringify(text.slice(0, 40))} is no decimal`);
  return value;
}

export type ReadCondition =
  | { readonly ok: true; readonly condition: Condition }
  | { readonly ok: false; readonly error: string };

/**
 * Reads a condition. Its cost is bounded before it ever runs: length, nodes, nesting, no regular expression (they backtrack),
 * no comprehension within another.
 */
export function readCondition(text: string): ReadCondition {
  try {
    const parsed = environment.parse(text);
    const refusal = refusalOf(parsed.ast, 0);
    if (refusal !== undefined) return { ok: false, error: refusal };
    const checked = parsed.check();
    if (!checked.valid) return { ok: false, error: firstLine(checked.error) };
    if (checked.type !== 'bool') return { ok: false, error: `gives ${checked.type}, not bool` };
    return { ok: true, condition: (inputs, at) => parsed(variables(inputs, at)) === true };
  } catch (error) {
    return { ok: false, error: firstLine(error) };
  }
}

function variables(inputs: PolicyInputs, at: number): Record<string, unknown> {
  const values: Record<string, unknown> = { tags: inputs.tags, metrics: inputs.metrics, at: new Date(at / 1000) };
  for (const variable of STRINGS) values[variable] = inputs[variable] ?? '';
  return values;
}

const COMPREHENSIONS: ReadonlySet<unknown> = new Set(['all', 'exists', 'exists_one', 'map', 'filter']);

/** Walks the tree of the library, whose nodes are `{ op, args }`. */
function refusalOf(node: unknown, comprehensions: number): string | undefined {
  if (Array.isArray(node)) {
    for (const one of node) {
      const refusal = refusalOf(one, comprehensions);
      if (refusal !== undefined) return refusal;
    }
    return undefined;
  }
  if (typeof node !== 'object' || node === null || !('op' in node) || !('args' in node)) return undefined;
  const isCall = node.op === 'call' || node.op === 'rcall';
  const called: unknown = isCall && Array.isArray(node.args) ? node.args[0] : undefined;
  if (called === 'matches') return 'must not use matches: use startsWith, endsWith or contains';
  const depth = comprehensions + (COMPREHENSIONS.has(called) ? 1 : 0);
  return depth > 1 ? 'must not nest all, exists, map or filter' : refusalOf(node.args, depth);
}

function firstLine(error: unknown): string {
  return error instanceof Error ? (error.message.split('\n')[0] ?? '').slice(0, 200) : 'cannot be read';
}

/** Compares a quantity of the inputs with a level of a document, exactly. */
export function isAtLeast(value: string, level: string | number): boolean {
  return compare(exact(value), decimal(String(level))) >= 0;
}
