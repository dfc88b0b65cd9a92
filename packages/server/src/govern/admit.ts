import { decimal, toText } from '@ergon/exact';
import { type CatalogSnapshot, loadSnapshot } from '../catalog/snapshot.ts';
import { resolveCustomers } from '../catalog/customers.ts';
import { formatInstant } from '../event/instant.ts';
import type { AppServices } from '../http/context.ts';
import { ProblemError } from '../http/problem.ts';
import { LIMITS } from '../limits.ts';
import { type Asked, askPolicies } from './ask-policies.ts';
import type { CompiledBudget } from './compile-budget.ts';
import { availableOf, largestOutput, type Refusal } from './fits.ts';
import { budgetOf, type HoldOutcome } from './hold-desk.ts';
import {
  type Amounts,
  amountsOf,
  bodyHash,
  prepareHold,
  type PreparedHold,
  subjectOf,
  withCredits,
  withOutputBound,
} from './hold-request.ts';
import { type HoldRow, runPath } from './hold-store.ts';
import type { LeasesWanted } from './lease-store.ts';
import { amountTexts, type HoldBody } from './schemas.ts';

export type Admission = {
  readonly hold: HoldRow;
  readonly flags: readonly string[];
  /** The output bound that was admitted, where the hold has one. */
  readonly maxOutputTokens: number | undefined;
  readonly isClamped: boolean;
};

/** A hold as it is asked for: with a lower output bound it asks for less. */
export type AskedHold = { readonly body: HoldBody; readonly amounts: Amounts };

export type BoundHold = {
  readonly body: HoldBody;
  /** The hold with a lower output bound; undefined where its amounts say what a token of output is. */
  readonly lower: ((bound: number) => Promise<AskedHold>) | undefined;
};

/** Gives a hold that brings an estimate its amounts. */
export type HoldBounder = (services: AppServices, catalog: CatalogSnapshot, body: HoldBody) => Promise<BoundHold>;

/** A clamp may be overtaken by others that take what was left; then it is computed again. */
const CLAMPS_MAX = 4;
/** Each turn is another publish that came between: with so many in one request's time somebody else had better wait. */
const STALE_MAX = 20;
const RECALLS_MAX = 2;

/**
 * Sets a hold aside at every budget and wallet that applies, in one step, or refuses it.
 *
 * @throws ProblemError `budget_exceeded` naming the limit, or `conflict` for an id that stands for another body.
 */
export async function admit(
  services: AppServices,
  environmentId: number,
  keyId: string,
  { sent, ...given }: BoundHold & { readonly sent: HoldBody },
): Promise<Admission> {
  const body = withCredits(given.body);
  const bound = { ...given, body };
  const runs = await runPath(services.database.pool, environmentId, body.run_id, body.parent_run_id);
  const subject = subjectOf(body, keyId, runs);
  // Of what the client sent, so that a repeat is known whatever it was clamped to.
  const hash = bodyHash(sent);
  let asked: AskedHold = { body, amounts: amountsOf(body) };
  let policies: (Asked & { readonly revision: bigint }) | undefined;
  let staleLeft = STALE_MAX;
  let recallsLeft = RECALLS_MAX;
  for (let clamps = 0; ; ) {
    const catalog = await services.record.catalog(environmentId);
    if (policies?.revision !== catalog.revision) {
      const found = await askPolicies(services, environmentId, catalog.revision, body, amountsOf(body));
      if (found.refusal !== undefined) {
        if (staleLeft-- > 0 && (await isStale(services, catalog))) continue;
        throw found.refusal;
      }
      policies = { ...found, revision: catalog.revision };
      asked = await lowered(bound, policies.maxOutputTokens ?? Infinity);
    }
    const customer = await customerOf(services, catalog, body.customer);
    const at = services.clocks.now(environmentId);
    const prepared = prepareHold(asked.body, asked.amounts, customer, subject, catalog.budgets, {
      ...{ at, hash },
      applyMax: LIMITS.budgetsApplyMax,
    });
    if (prepared.kind !== 'ready') {
      if (staleLeft-- > 0 && (await isStale(services, catalog))) continue;
      throw unprepared(prepared, asked);
    }
    const outcome = await services.holds.hold(environmentId, catalog.revision, prepared.request);
    switch (outcome.outcome) {
      case 'stale':
        if (staleLeft-- <= 0) throw unsettledCatalog();
        services.record.rememberCatalog(await loadSnapshot(services.database.pool, environmentId));
        continue;
      case 'conflict':
        throw otherBody(body.id);
      case 'held':
      case 'repeated': {
        const hold = outcome.outcome === 'held' ? heldRow(asked.body, prepared, outcome) : outcome.hold;
        return {
          hold,
          flags: [...prepared.flags, ...policies.flags],
          maxOutputTokens: hold.bound ?? undefined,
          isClamped: hold.bound !== null && hold.bound < (body.output?.max_tokens ?? 0),
        };
      }
      case 'refused': {
        // Nobody is refused before what leases hold of these limits was asked back.
        if (recallsLeft-- > 0 && (await services.leases.recall(environmentId, lacking(outcome.refusals, customer))))
          continue;
        const fits = largestOutput(asked.body.output, outcome.refusals);
        const mayClamp = outcome.refusals.every((one) => budgetOf(prepared.budgets, one)?.spec.on_exceed === 'clamp');
        if (!mayClamp || fits === undefined || fits < 1 || clamps++ >= CLAMPS_MAX) {
          throw exceeded(outcome.refusals, prepared.budgets, body, fits);
        }
        asked = await lowered(bound, fits);
      }
    }
  }
}

/** The hold with its output bounded so. */
async function lowered({ body, lower }: BoundHold, bound: number): Promise<AskedHold> {
  const amounts = amountsOf(body);
  if (bound >= (body.output?.max_tokens ?? 0)) return { body, amounts };
  return lower === undefined ? withOutputBound(body, amounts, bound) : lower(bound);
}

function otherBody(id: string): ProblemError {
  return new ProblemError({
    code: 'conflict',
    detail: `the hold ${id} stands for another body; holds are named once`,
  });
}

/** What leases would have to give for the hold to fit. */
function lacking(refusals: readonly Refusal[], customerId: number | null): LeasesWanted {
  return {
    counters: refusals.flatMap(({ budget, member }) =>
      budget === undefined || member === undefined ? [] : [{ b: budget, m: member }],
    ),
    customerId: refusals.some(({ kind }) => kind === 'wallet') ? customerId : null,
  };
}

/** A hold that was taken just now, as the database keeps it. */
export function heldRow(
  body: HoldBody,
  { request, budgets }: Extract<PreparedHold, { readonly kind: 'ready' }>,
  { isFunded, at }: Extract<HoldOutcome, { readonly outcome: 'held' }>,
): HoldRow {
  return {
    id: request.id,
    status: request.status,
    customer: body.customer ?? null,
    currency: request.currency,
    amounts: Object.fromEntries(amountTexts(request.amounts)),
    ...{ settled: null, settled_by: null, is_late: false, resolved_at: null },
    bound: body.output?.max_tokens ?? null,
    funded: isFunded,
    budget_keys: budgets.map(({ key }) => key).toSorted(),
    created_at: formatInstant(at),
    expires_at: request.expires,
  };
}

/**
 * Whether the catalog has changed since this snapshot; the new one is kept. Asked before a refusal that the database had no
 * part in: what another process has published may admit it.
 */
async function isStale(services: AppServices, { environmentId, revision }: CatalogSnapshot): Promise<boolean> {
  return (await services.record.currentCatalog(environmentId)).revision !== revision;
}

function unsettledCatalog(): ProblemError {
  return new ProblemError({ code: 'overloaded', detail: 'the catalog changes all the time', retryAfterSeconds: 1 });
}

/** The customer's id; created provisionally when never seen, as an event would. */
async function customerOf(
  services: AppServices,
  catalog: CatalogSnapshot,
  name: string | undefined,
): Promise<number | null> {
  if (name === undefined) return null;
  const cached = services.record.customers.of(catalog.environmentId, catalog.revision);
  const known = cached.get(name);
  if (known !== undefined) return known.id;
  const [found] = await services.database.transaction((client) =>
    resolveCustomers(client, catalog.environmentId, [name]),
  );
  if (found === undefined) throw new Error('the customer was neither created nor found');
  cached.set(name, found);
  return found.id;
}

function unprepared(
  prepared: Exclude<PreparedHold, { readonly kind: 'ready' }>,
  { body, amounts }: AskedHold,
): ProblemError {
  if (prepared.kind === 'too_many_budgets') {
    const detail = `${prepared.count} budgets apply to this request, and at most ${LIMITS.budgetsApplyMax} may; end some of them`;
    return new ProblemError({ code: 'conflict', detail });
  }
  const { key, measure, currency = '' } = prepared.budget;
  const otherwise = `or set ${prepared.policy} of the budget ${key} to fallback or allow_and_flag`;
  // A charge that was sent counts for nothing in another currency.
  const given = measure === 'charge' && amounts.charge !== undefined ? body.currency : undefined;
  return new ProblemError({
    code: 'budget_exceeded',
    detail:
      given !== undefined
        ? `the budget ${key} limits charge in ${currency}, and the hold asks it in ${given}`
        : `the budget ${key} limits ${measure}, and the hold does not say how much it needs`,
    errors: [
      given !== undefined
        ? {
            pointer: '/currency',
            detail: `is ${given}, not ${currency}`,
            remedy: `send the charge in ${currency}, ${otherwise}`,
          }
        : { pointer: `/amounts/${measure}`, detail: 'is not known', remedy: `send it, ${otherwise}` },
    ],
    members: { scope: { kind: 'budget', key }, reason: 'unknown_quantity' },
  });
}

function exceeded(
  refusals: readonly Refusal[],
  budgets: readonly CompiledBudget[],
  body: HoldBody,
  fits: number | undefined,
): ProblemError {
  const scopes = refusals.map((one) => {
    const budget = budgetOf(budgets, one);
    const scope =
      one.kind === 'wallet'
        ? { kind: 'wallet', key: body.customer ?? '', currency: body.currency ?? '' }
        : { kind: 'budget', key: budget?.key ?? '' };
    return {
      scope,
      measure: budget?.measure ?? one.measure,
      ...(one.limit !== undefined && { limit: one.limit }),
      ...(one.committed !== undefined && { committed: exactText(one.committed) }),
      held: exactText(one.held ?? '0'),
      available: toText(availableOf(one)),
      asked: one.asked,
    };
  });
  const [first] = scopes;
  const name = first?.scope.kind === 'wallet' ? 'the wallet' : `the budget ${first?.scope.key ?? ''}`;
  return new ProblemError({
    code: 'budget_exceeded',
    detail: `${name} has ${first?.available ?? '0'} left of ${first?.measure ?? ''}, and the hold asks ${first?.asked ?? ''}`,
    members: { ...first, fits: fits === undefined ? null : { max_output_tokens: fits }, refused_by: scopes },
  });
}

/** The database keeps the zeros that sums leave behind the point. */
function exactText(value: string): string {
  return toText(decimal(value));
}
