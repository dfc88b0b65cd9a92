import { type Decimal, toText } from '@ergon/exact';
import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import type { AppServices } from '../http/context.ts';
import { type App, readRoute } from '../http/operation.ts';
import { wouldAdmit } from '../govern/index.ts';
import { type Bounds, each } from './estimate-compute.ts';
import { amountsAt, measureCall } from './measure-call.ts';
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
  const now = services.clocks.now(catalog.environmentId);
  const call = await measureCall(services, catalog, body, now);
  const { where, works, computed, charge, providerCost, customerId } = call;
  const currency = call.currency ?? 'USD';
  const admission = await wouldAdmit(services.database.pool, catalog, {
    ...pick(body),
    model: body.model ?? where.place?.source.name,
    ...{ customerId, apiKey: keyId, at: now, currency },
    amounts: amountsAt('high', call),
  });
  return {
    model: where.place?.source.name ?? body.model ?? null,
    tokens: {
      input: String(works.low.newTokens),
      cache_read: String(works.low.cachedTokens),
      output: each(works, (work) => String(work.outputTokens)),
    },
    compute: computed?.answer ?? null,
    ...(where.unmeasured !== undefined && { unmeasured: where.unmeasured }),
    cost: {
      charge: moneyOf(charge, currency),
      provider_cost: moneyOf(providerCost, 'USD'),
      physical_cost: moneyOf(computed?.physicalCost, 'USD'),
      currency,
    },
    unrated: call.unrated.map(([meter, quantity, reason]) => ({ meter, quantity, reason })),
    admission: { would_admit: admission.wouldAdmit, tightest: admission.tightest ?? null },
  };
}

function pick({ customer, team, user, feature, provider, agent }: EstimateBody) {
  return { customer, team, user, feature, provider, agent };
}

function moneyOf(bounds: Bounds<Decimal> | undefined, currency: string): EstimateAnswer['cost']['charge'] {
  return bounds === undefined ? null : { ...each(bounds, toText), currency };
}
