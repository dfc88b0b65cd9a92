import { compare, type Decimal, decimal, multiply, subtract, toText, ZERO, isCreditUnit } from '@ergon/exact';
import { hash } from 'node:crypto';
import { formatInstant } from '../event/instant.ts';
import type { CompiledBudget, Subject } from './compile-budget.ts';
import { type Counter, counterOrder, countersFor } from './counters.ts';
import { amountTexts, type BudgetSpec, type HoldBody, isMeterMeasure, type Measure } from './schemas.ts';

export type Amounts = Readonly<Partial<Record<Measure, string>>>;

/** A hold as `ergon_hold` takes it. */
export type HoldRequest = {
  readonly id: string;
  readonly hash: string;
  readonly customer: number | null;
  readonly status: 'pending' | 'dispatched';
  readonly currency: string | null;
  readonly charge: string | null;
  readonly amounts: Amounts;
  readonly dimensions: Readonly<Record<string, unknown>>;
  readonly feature: string | null;
  readonly model: string | null;
  readonly above: HoldBody['above'];
  readonly counters: readonly (Counter & { readonly x: string })[];
  readonly expires: string;
  /** Of a lease: how many of it must fit, and who takes it. */
  readonly room?: number;
  readonly holder?: string;
};

type UnknownPolicy = 'unknown_quantity' | 'unknown_price' | 'unknown_length';

export type PreparedHold =
  | {
      readonly kind: 'ready';
      readonly request: HoldRequest;
      readonly budgets: readonly CompiledBudget[];
      readonly flags: readonly string[];
    }
  | {
      readonly kind: 'unknown_quantity';
      readonly budget: CompiledBudget;
      /** Which of the budget's policies refused it. */
      readonly policy: UnknownPolicy;
    }
  | { readonly kind: 'too_many_budgets'; readonly count: number };

/** Who asks and what for, as far as budgets select by it. */
export function subjectOf(body: HoldBody, apiKey: string, runs: readonly string[]): Subject {
  const { customer, team, user, feature, provider, model, agent, work_item } = body;
  const values = { customer, team, user, api_key: apiKey, feature, provider, model, agent, work_item };
  return {
    values: Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)),
    runs,
    tags: body.tags ?? {},
  };
}

/** The body with what its output makes of every measure: in a credit unit a token takes as many credits as it is charged. */
export function withCredits(body: HoldBody): HoldBody {
  const { output, currency } = body;
  const charge = output?.per_token.charge;
  if (output === undefined || charge === undefined || !isCreditUnit(currency)) return body;
  const perToken: typeof output.per_token = { ...output.per_token };
  perToken.credits ??= charge;
  return { ...body, output: { ...output, per_token: perToken } };
}

/** The amounts of a body as exact texts; a request is one request, and `amount` is short for the charge. */
export function amountsOf(body: HoldBody): Amounts {
  const given: Partial<Record<Measure, string>> = Object.fromEntries(amountTexts(body.amounts ?? {}));
  if (body.amount !== undefined) given.charge = toText(decimal(String(body.amount)));
  given.requests ??= '1';
  if (given.charge !== undefined && isCreditUnit(body.currency)) given.credits ??= given.charge;
  return given;
}

/**
 * Fits a body to the budgets of one catalog revision. Pure.
 *
 * @param at when it is admitted, microseconds since 1970: its windows are those of this instant.
 * @param hash of the body the client sent, where this one was clamped.
 */
export function prepareHold(
  body: HoldBody,
  amounts: Amounts,
  customerId: number | null,
  subject: Subject,
  budgets: readonly CompiledBudget[],
  { at, applyMax, hash: given }: { readonly at: number; readonly applyMax: number; readonly hash?: string },
): PreparedHold {
  const applying = countersFor(budgets, subject, at);
  if (applying.length > applyMax) return { kind: 'too_many_budgets', count: applying.length };
  const flags: string[] = [];
  const counters: (Counter & { x: string })[] = [];
  for (const { budget, counter } of applying) {
    const known = quantityFor(budget, amounts, body.currency);
    if (known !== undefined) {
      counters.push({ ...counter, x: known });
      continue;
    }
    const { name, policy } = unknownPolicyOf(budget, amounts);
    const { fallback_quantity: fallback } = budget.spec;
    // No amount of another currency stands for this one, when the hold is settled either.
    const unsaid = isInCurrency(budget, body.currency)
      ? counter
      : { ...counter, u: `${counter.u} in ${budget.currency}` };
    if (policy === 'fallback' && fallback !== undefined) {
      flags.push(`fallback_quantity:${budget.key}`);
      counters.push({ ...unsaid, x: toText(decimal(String(fallback))) });
    } else if (policy === 'deny' && budget.isEnforced) {
      return { kind: 'unknown_quantity', budget, policy: name };
    } else {
      if (policy !== 'zero') flags.push(`unknown_quantity:${budget.key}`);
      counters.push({ ...unsaid, x: '0' });
    }
  }
  return {
    kind: 'ready',
    flags,
    budgets: applying.map(({ budget }) => budget),
    request: {
      id: body.id,
      hash: given ?? bodyHash(body),
      customer: customerId,
      status: body.dispatched ? 'dispatched' : 'pending',
      currency: body.currency ?? null,
      charge: amounts.charge ?? null,
      amounts,
      dimensions: dimensionsOf(body, subject),
      feature: body.feature ?? null,
      model: body.model ?? null,
      above: body.above,
      counters: counters.toSorted(counterOrder),
      expires: formatInstant(at + body.expires_in_seconds * 1_000_000),
    },
  };
}

/** What the hold sets aside at a budget; undefined where the body does not say, or says it in another currency. */
export function quantityFor(
  budget: CompiledBudget,
  amounts: Amounts,
  currency: string | undefined,
): string | undefined {
  return isInCurrency(budget, currency) ? amounts[budget.measure] : undefined;
}

function isInCurrency(budget: CompiledBudget, currency: string | undefined): boolean {
  // Costs are in US dollars, whatever the customer pays in.
  const inCurrency = budget.measure === 'charge' ? currency : 'USD';
  return budget.currency === undefined || inCurrency === budget.currency;
}

/**
 * The policy for a quantity that the hold lacks. Its length is unknown where it says no tokens; where it says them, or the money in
 * another currency, only the price is.
 */
function unknownPolicyOf(
  { spec, measure }: CompiledBudget,
  amounts: Amounts,
): { readonly name: UnknownPolicy; readonly policy: BudgetSpec['unknown_quantity'] } {
  const isMoney = MONEY.has(measure);
  const hasLength = amounts.tokens !== undefined || (isMoney && amounts[measure] !== undefined);
  const name = isMeterMeasure(measure)
    ? 'unknown_quantity'
    : !hasLength
      ? 'unknown_length'
      : isMoney
        ? 'unknown_price'
        : 'unknown_quantity';
  const policy = spec[name];
  return policy === undefined ? { name: 'unknown_quantity', policy: spec.unknown_quantity } : { name, policy };
}

const MONEY: ReadonlySet<Measure> = new Set(['charge', 'provider_cost', 'physical_cost', 'credits']);

export function dimensionsOf(body: HoldBody, subject: Subject): Record<string, unknown> {
  const { output, run_id, parent_run_id, tags } = body;
  return { ...subject.values, runs: subject.runs, run_id, parent_run_id, tags, max_output_tokens: output?.max_tokens };
}

/** Of the whole body: another one under the same id is another hold. */
export function bodyHash(body: HoldBody): string {
  return hash('sha256', stableText(body), 'base64url');
}

/** JSON whose members stand in one order, so that the same request has one text. */
export function stableText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(stableText).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  members.sort(([one], [other]) => (one < other ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${stableText(member)}`).join(',')}}`;
}

/** The same request with an output bound lowered to `bound`. */
export function withOutputBound(body: HoldBody, amounts: Amounts, bound: number): { body: HoldBody; amounts: Amounts } {
  const { output } = body;
  if (output === undefined || bound >= output.max_tokens) return { body, amounts };
  const dropped = decimal(output.max_tokens - bound);
  const lowered: Partial<Record<Measure, string>> = { ...amounts };
  for (const [name, per] of amountTexts(output.per_token)) {
    const amount = amounts[name];
    if (amount === undefined) continue;
    lowered[name] = toText(larger0(subtract(decimal(amount), multiply(decimal(per), dropped))));
  }
  return { body: { ...body, output: { ...output, max_tokens: bound } }, amounts: lowered };
}

function larger0(value: Decimal): Decimal {
  return compare(value, ZERO) < 0 ? ZERO : value;
}
