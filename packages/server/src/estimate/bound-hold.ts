import { compare, type Decimal, decimal, divide, subtract, toText, ZERO } from '@ergon/exact';
import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import type { AskedHold, BoundHold, HoldBody } from '../govern/index.ts';
import type { AppServices } from '../http/context.ts';
import { ProblemError, refuse } from '../http/problem.ts';
import { amountsAt, type EstimatedCall, measureCall } from './measure-call.ts';
import { type EstimateBody, estimateBody } from './schemas.ts';

/** What a hold and the estimate in it both say; where both do, they say the same. */
const WHO = ['customer', 'feature', 'user', 'team', 'agent', 'provider', 'model'] as const;

/**
 * Turns a hold that brings the body of an estimate into one with amounts: the high end of every interval, so that a call within its
 * output bound stays within its hold. What has no known price is left out, and the budgets' `unknown_quantity` decides.
 *
 * @throws a problem that names the member at fault.
 */
export async function boundHold(services: AppServices, catalog: CatalogSnapshot, body: HoldBody): Promise<BoundHold> {
  const { estimate: given, ...hold } = body;
  if (given === undefined) return { body, lower: undefined };
  for (const name of ['amounts', 'amount', 'currency', 'output'] as const) {
    if (hold[name] !== undefined) throw twice(`/${name}`, `the estimate says it`);
  }
  const estimate = merged(hold, estimateBody.parse(given));
  const now = services.clocks.now(catalog.environmentId);
  const at = async (bound: number | undefined): Promise<AskedHold> => {
    const body = bound === undefined ? estimate : bounded(estimate, bound);
    try {
      return asked(hold, estimate, await measureCall(services, catalog, body, now));
    } catch (error) {
      throw inEstimate(error);
    }
  };
  const first = await at(undefined);
  return { body: first.body, lower: (bound) => at(bound) };
}

/** A fault of the estimate, told by its place in the hold. */
function inEstimate(error: unknown): unknown {
  if (!(error instanceof ProblemError)) return error;
  const { errors, ...problem } = error.problem;
  if (errors === undefined) return error;
  const placed = errors.map((one) =>
    one.pointer === undefined ? one : { ...one, pointer: `/estimate${one.pointer}` },
  );
  return new ProblemError({ ...problem, errors: placed });
}

function merged(hold: Omit<HoldBody, 'estimate'>, estimate: EstimateBody): EstimateBody {
  const both: Partial<Record<(typeof WHO)[number], string>> = {};
  for (const name of WHO) {
    const [one, other] = [hold[name], estimate[name]];
    if (one !== undefined && other !== undefined && one !== other) {
      throw twice(`/estimate/${name}`, `the hold says ${one}`);
    }
    const value = one ?? other;
    if (value !== undefined) both[name] = value;
  }
  return { ...estimate, ...both };
}

function twice(pointer: string, says: string) {
  return refuse('invalid_request', 'the body is not valid', [
    { pointer, detail: `is given twice: ${says}`, remedy: 'say it once' },
  ]);
}

/** Never below one token: without any, nothing is asked for. */
function bounded(estimate: EstimateBody, bound: number): EstimateBody {
  const { tokens, expected_output_tokens: expected, ...rest } = estimate;
  const { output: _, ...others } = tokens;
  const most = Math.max(1, bound);
  return {
    ...{ ...rest, tokens: others, max_output_tokens: most },
    ...(expected !== undefined && { expected_output_tokens: Math.min(expected, most) }),
  };
}

function asked(hold: Omit<HoldBody, 'estimate'>, estimate: EstimateBody, call: EstimatedCall): AskedHold {
  const isPriced = call.unrated.length === 0;
  const [low, high] = (['low', 'high'] as const).map((end) => {
    const amounts = amountsAt(end, call);
    const { charge: _, credits: __, ...unpriced } = amounts;
    return isPriced ? amounts : unpriced;
  });
  if (low === undefined || high === undefined) throw new Error('an interval has two ends');
  const who = Object.fromEntries(WHO.flatMap((name) => (estimate[name] === undefined ? [] : [[name, estimate[name]]])));
  const model = estimate.model ?? call.where.place?.source.name;
  return {
    amounts: high,
    body: {
      ...{ ...hold, ...who, ...(model !== undefined && { model }), amounts: high },
      ...(isPriced && call.currency !== undefined && { currency: call.currency }),
      ...(call.maxOutput > 1 && {
        output: { max_tokens: call.maxOutput, per_token: perToken(low, high, call.maxOutput) },
      }),
    },
  };
}

/** What a token of output adds on the way from one token to the bound; a lowered bound is estimated anew. */
function perToken(
  low: Readonly<Record<string, string>>,
  high: Readonly<Record<string, string>>,
  maxOutput: number,
): Record<string, string> {
  const steps = decimal(maxOutput - 1);
  return Object.fromEntries(
    Object.entries(high).flatMap(([name, most]) => {
      const added: Decimal = subtract(decimal(most), decimal(low[name] ?? most));
      return compare(added, ZERO) <= 0 ? [] : [[name, toText(divide(added, steps, { places: 18, mode: 'down' }))]];
    }),
  );
}
