import { workOfTokens } from '@ergon/compute';
import { type Decimal, toText } from '@ergon/exact';
import type { Tokens } from '@ergon/usage';
import { findCustomer } from '../catalog/index.ts';
import { type BilledCustomer, customerById } from '../catalog/customers.ts';
import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import { captureEvent } from '../event/capture-event.ts';
import type { AppServices } from '../http/context.ts';
import { type App, readRoute } from '../http/operation.ts';
import { wouldAdmit } from '../govern/index.ts';
import { LIMITS } from '../limits.ts';
import { type PreparedEvent, prepareEvent } from '../record/prepare.ts';
import { previewCharges } from '../record/preview-charge.ts';
import type { Queryable } from '../store/database.ts';
import { type Bounds, each, estimateCompute } from './estimate-compute.ts';
import { badMember, type EstimatePlace, estimatePlace } from './estimate-place.ts';
import { type EstimateAnswer, estimateAnswer, type EstimateBody, estimateBody } from './schemas.ts';

export function registerEstimateRoute(app: App, services: AppServices): void {
  readRoute(
    app,
    services,
    {
      method: 'post',
      path: '/v1/estimate',
      operationId: 'estimateCall',
      tag: 'Compute',
      scope: 'usage:read',
      summary: 'Estimate a call before it runs',
      description:
        'Work, time and cost of a call from its token counts, each with an interval, by the code that will count, rate and cost it once it has run. Nothing is recorded. Name a `deployment`, or describe a place by `accelerator`; without either, FLOPs and prices are still told where the model is known.',
      body: estimateBody,
      answer: estimateAnswer,
    },
    async ({ environmentId, principal, body }) => {
      const catalog = await services.record.currentCatalog(environmentId);
      return estimateCall(services, catalog, principal.keyId, body);
    },
  );
}

async function estimateCall(
  services: AppServices,
  catalog: CatalogSnapshot,
  keyId: string,
  body: EstimateBody,
): Promise<EstimateAnswer> {
  const now = services.now();
  const output = outputOf(body);
  const where = estimatePlace(body, catalog.deployments, now);
  const fixed = workOfTokens(sentClasses({ ...body.tokens, output: 0 }));
  const works = each(output, (tokens) => ({ ...fixed, outputTokens: fixed.outputTokens + tokens }));
  checkSize(works.high.newTokens + works.high.cachedTokens + works.high.outputTokens);
  const computed = where.place === undefined ? undefined : estimateCompute(where.place, works);
  const events = each(output, (tokens) => syntheticEvent(body, tokens, where, catalog, now));
  const customer = await customerOf(services.database.pool, catalog.environmentId, body.customer);
  const list = [events.low, events.expected, events.high];
  const [low, expected, high] = (await previewCharges(services.database.pool, catalog, customer, list, now)) ?? [];
  const isPriced = low !== undefined && expected !== undefined && high !== undefined;
  const charge = isPriced ? each({ low, expected, high }, ({ amount }) => amount) : undefined;
  const currency = expected?.currency ?? 'USD';
  const cost = providerCost(services, catalog, events);
  const admission = await wouldAdmit(services.database.pool, catalog, {
    ...pick(body),
    model: body.model ?? where.place?.source.name,
    customerId: customer?.id ?? null,
    apiKey: keyId,
    at: now,
    currency,
    amounts: upperBounds({ charge, provider_cost: cost, physical_cost: computed?.physicalCost }, works.high, computed),
  });
  return {
    model: where.place?.source.name ?? body.model ?? null,
    tokens: {
      input: String(fixed.newTokens),
      cache_read: String(fixed.cachedTokens),
      output: each(works, (work) => String(work.outputTokens)),
    },
    compute: computed?.answer ?? null,
    ...(where.unmeasured !== undefined && { unmeasured: where.unmeasured }),
    cost: {
      charge: moneyOf(charge, currency),
      provider_cost: moneyOf(cost, 'USD'),
      physical_cost: moneyOf(computed?.physicalCost, 'USD'),
      currency,
    },
    unrated: (expected?.unrated ?? []).map(([meter, quantity, reason]) => ({ meter, quantity, reason })),
    admission: { would_admit: admission.wouldAdmit, tightest: admission.tightest ?? null },
  };
}

function pick({ customer, team, user, feature, provider, agent }: EstimateBody) {
  return { customer, team, user, feature, provider, agent };
}

/** What a hold of the call would ask: the high end of every interval. */
function upperBounds(
  money: Readonly<Record<'charge' | 'provider_cost' | 'physical_cost', Bounds<Decimal> | undefined>>,
  work: { readonly newTokens: number; readonly cachedTokens: number; readonly outputTokens: number },
  computed: ReturnType<typeof estimateCompute> | undefined,
): Parameters<typeof wouldAdmit>[2]['amounts'] {
  const seconds = computed?.answer?.billable_accelerator_seconds?.high;
  const units = computed?.answer?.compute_units?.high;
  const flops = computed?.answer?.flops.high;
  return {
    requests: '1',
    tokens: String(work.newTokens + work.cachedTokens + work.outputTokens),
    ...(money.charge !== undefined && { charge: toText(money.charge.high) }),
    ...(money.provider_cost !== undefined && { provider_cost: toText(money.provider_cost.high) }),
    ...(money.physical_cost !== undefined && { physical_cost: toText(money.physical_cost.high) }),
    ...(flops !== undefined && { flops }),
    ...(seconds !== undefined && { accelerator_seconds: seconds }),
    ...(units !== undefined && { compute_units: units }),
  };
}

/** Output tokens beyond those of classes that were counted: exactly what was sent, or at most the bound. */
function outputOf(body: EstimateBody): Bounds<number> {
  const { tokens, max_output_tokens: high, expected_output_tokens: expected } = body;
  if (tokens.output !== undefined) {
    if (high === undefined && expected === undefined) {
      return { low: tokens.output, expected: tokens.output, high: tokens.output };
    }
    const remedy = 'send tokens.output for a known output, or max_output_tokens for a bound';
    throw badMember('/max_output_tokens', 'the output is given twice', remedy);
  }
  if (high === undefined) {
    const remedy = 'send max_output_tokens, or tokens.output where it is known (0 for an embedding)';
    throw badMember('/max_output_tokens', 'nothing bounds the output', remedy);
  }
  if (expected !== undefined && expected > high) {
    throw badMember('/expected_output_tokens', 'more than max_output_tokens', 'expect at most the bound');
  }
  return { low: 1, expected: expected ?? high, high };
}

/** The classes that were sent: an absent one is not zero. */
function sentClasses(tokens: EstimateBody['tokens']): Tokens {
  return Object.fromEntries(Object.entries(tokens).filter(([, count]) => count !== undefined));
}

function checkSize(tokens: number): void {
  if (tokens <= LIMITS.requestTokensMax) return;
  const detail = `${tokens} tokens are more than the ${LIMITS.requestTokensMax} of one call`;
  throw badMember('/tokens', detail, 'estimate each call by itself');
}

/** The event that the call would send, so that what prices it is what will price it. */
function syntheticEvent(
  body: EstimateBody,
  outputTokens: number,
  where: EstimatePlace,
  catalog: CatalogSnapshot,
  now: number,
): PreparedEvent {
  const { customer, feature, user, team, agent, provider, properties } = body;
  const data = {
    ...{ feature, user, team, agent, provider, properties },
    model: body.model ?? where.place?.source.name,
    deployment: where.deployment,
    tokens: { ...body.tokens, output: outputTokens },
  };
  const present = Object.fromEntries(Object.entries(data).filter(([, value]) => value !== undefined));
  const captured = captureEvent(
    { id: 'estimate', source: 'ergon', type: 'llm.call', subject: customer, data: present },
    0,
    { environmentId: catalog.environmentId, receivedAt: now, oldest: 0 },
  );
  if (!captured.ok)
    throw badMember(captured.error.pointer ?? '', captured.error.detail, 'send what the event may hold');
  return prepareEvent(captured.event, { ...catalog, deployments: where.deployments });
}

function providerCost(
  services: AppServices,
  catalog: CatalogSnapshot,
  events: Bounds<PreparedEvent>,
): Bounds<Decimal> | undefined {
  const { low, expected, high } = each(events, (event) => services.record.costOf(event, catalog)?.amount);
  return low === undefined || expected === undefined || high === undefined ? undefined : { low, expected, high };
}

async function customerOf(
  db: Queryable,
  environmentId: number,
  externalId: string | undefined,
): Promise<BilledCustomer | undefined> {
  if (externalId === undefined) return undefined;
  const row = await findCustomer(db, environmentId, externalId);
  return row === undefined ? undefined : customerById(db, environmentId, Number(row.id));
}

function moneyOf(bounds: Bounds<Decimal> | undefined, currency: string): EstimateAnswer['cost']['charge'] {
  return bounds === undefined ? null : { ...each(bounds, toText), currency };
}
