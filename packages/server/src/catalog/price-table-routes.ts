import { scaled, toText } from '@ergon/exact';
import { TOKEN_CLASSES, UNIT_NAMES } from '@ergon/usage';
import { z } from '@hono/zod-openapi';
import type { AppServices } from '../http/context.ts';
import { cursorAfter, cursorNumber, page } from '../http/cursor.ts';
import { type App, readRoute } from '../http/operation.ts';
import { decimalOutput, externalId, instantInput, instantMicros, pageOf, pageQuery } from '../http/wire.ts';
import {
  type PriceDisagreement,
  type PriceTableReport,
  type ProviderPrice,
  priceTableReport,
} from '../provider-prices/index.ts';
import { currentSnapshot } from './current-snapshot.ts';

const tableAnswer = z
  .strictObject({
    library: z.string(),
    version: z.string(),
    published_on: z.string().nullable().openapi({ example: '2026-09-23' }),
    age_days: z.number().int().nullable().openapi({ description: 'Whole days since then; prices may have changed' }),
  })
  .openapi('PriceTable');

const rates = z.partialRecord(z.enum(TOKEN_CLASSES), decimalOutput);

const priceAnswer = z
  .strictObject({
    provider: z.string().openapi({ description: 'Who sells it, as the table names them' }),
    model: z.string(),
    source: z.string().openapi({ description: 'The table and its version, or the words of your own price' }),
    tiers: z.array(z.strictObject({ prompt_tokens_above: z.number().int(), per_million_tokens: rates })).openapi({
      description:
        'USD; the base first, above 0. The highest tier below the length of the prompt holds for the whole call',
    }),
    per_unit: z.partialRecord(z.enum(UNIT_NAMES), z.strictObject({ amount: decimalOutput, per: decimalOutput })),
    request_fee: z.strictObject({ amount: decimalOutput, per: decimalOutput }).nullable(),
    flags: z.array(z.strictObject({ code: z.string(), detail: z.string() })),
  })
  .openapi('ProviderPrice');

const lookupAnswer = z
  .strictObject({
    table: tableAnswer,
    canonical_model: z.string().nullable().openapi({ description: 'Null: a model nobody knows' }),
    model_family: z.string().nullable(),
    price: priceAnswer.nullable().openapi({ description: 'Null: unknown, which is not zero' }),
    reason: z.string().nullable().openapi({ description: 'Why there is no price', example: 'unknown_model' }),
  })
  .openapi('ProviderPriceLookup');

const reportAnswer = z
  .strictObject({
    table: tableAnswer,
    providers: z.number().int(),
    models: z.number().int(),
    models_without_figures: z.array(z.string()),
    models_with_context_tiers: z.number().int(),
    changes_ahead: z.array(z.strictObject({ provider: z.string(), model: z.string(), from: z.string() })),
    disagreements: z.number().int(),
  })
  .openapi('PriceTableReport');

const disagreementAnswer = z
  .strictObject({
    provider: z.string(),
    model: z.string(),
    kind: z.enum(['figure_rounded', 'cache_write_rule', 'vendor_differs', 'context_tier_differs']),
    used: z.string().openapi({ description: 'USD per million tokens, or a number of tokens for a context tier' }),
    other: z.string(),
    detail: z.string(),
  })
  .openapi('PriceDisagreement');

const lookupQuery = z.strictObject({
  model: externalId.openapi({ description: 'As usage reports it' }),
  provider: externalId.optional().openapi({ description: 'Left out: the model’s maker' }),
  at: instantInput.optional().openapi({ description: 'Default now' }),
  service_tier: externalId.optional().openapi({ example: 'batch' }),
  region: externalId.optional(),
  speed: externalId.optional(),
});

const tag = 'Catalog';

/** What providers charge: the price table, your own prices over it, and how far it can be trusted. */
export function registerPriceTableRoutes(app: App, services: AppServices): void {
  registerLookup(app, services);
  const report = reportOfTheDay(services);
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/provider_price_table',
      operationId: 'getPriceTable',
      tag,
      scope: 'catalog:read',
      summary: 'Describe the provider price table',
      description: 'Its version and age, what it lacks, and which of its prices will change.',
      answer: reportAnswer,
    },
    async () => {
      const found = report();
      return {
        table: tableOf(services),
        providers: found.providers,
        models: found.models,
        models_without_figures: [...found.modelsWithoutFigures],
        models_with_context_tiers: found.modelsWithContextTiers,
        changes_ahead: found.changesAhead.map(({ provider, model, from }) => ({ provider, model, from })),
        disagreements: found.disagreements.length,
      };
    },
  );
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/provider_price_table/disagreements',
      operationId: 'listPriceDisagreements',
      tag,
      scope: 'catalog:read',
      summary: 'List where price sources disagree',
      description:
        'A router beside the vendor it resells, a figure beside the vendor’s own rule, a figure that had to be rounded.',
      query: pageQuery,
      answer: pageOf(disagreementAnswer),
    },
    async ({ query: { limit, cursor } }) => {
      const start = Number(cursorNumber('price_disagreements', cursor) ?? 0n);
      const rows = report()
        .disagreements.slice(start, start + limit + 1)
        .map((row, index) => ({ row, next: start + index + 1 }));
      return page(
        rows,
        limit,
        ({ row }) => disagreementOf(row),
        ({ next }) => cursorAfter('price_disagreements', String(next)),
      );
    },
  );
}

function registerLookup(app: App, services: AppServices): void {
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/provider_prices',
      operationId: 'getProviderPrice',
      tag,
      scope: 'catalog:read',
      summary: 'Look up what a provider charges',
      description:
        'The price that an event of this model and time would be costed with: your own where there is one, else the table’s.',
      query: lookupQuery,
      answer: lookupAnswer,
    },
    async ({ environmentId, query: { model, provider, at, service_tier, region, speed } }) => {
      const catalog = await currentSnapshot(services, environmentId);
      const prices = services.prices.withOverrides(catalog.priceOverrides);
      const { canonical, family } = catalog.resolveModel(model);
      const asked = {
        provider,
        at: at === undefined ? services.clocks.now(environmentId) : instantMicros(at),
        serviceTier: service_tier,
        region,
        speed,
      };
      const isAlias = catalog.modelAliases.has(model);
      const names =
        canonical === undefined || canonical === model ? [model] : isAlias ? [canonical, model] : [model, canonical];
      const found = names.map((name) => prices.lookup({ ...asked, model: name })).find((price) => price !== undefined);
      return {
        table: tableOf(services),
        canonical_model: canonical ?? null,
        model_family: family ?? null,
        price: found === undefined ? null : priceOf(found),
        reason: found === undefined ? (prices.missReason({ ...asked, model }) ?? null) : null,
      };
    },
  );
}

const DAY_MICROS = 86_400_000_000;

/** The report compares every model of the table, so it is made once a day. */
function reportOfTheDay({ prices, now }: AppServices): () => PriceTableReport {
  let kept: { readonly day: number; readonly report: PriceTableReport } | undefined;
  return () => {
    const at = now();
    const day = Math.floor(at / DAY_MICROS);
    if (kept?.day !== day) kept = { day, report: priceTableReport(prices, at) };
    return kept.report;
  };
}

function tableOf({ prices, now }: AppServices): z.infer<typeof tableAnswer> {
  const { library, version, publishedOn } = prices.source;
  const published = publishedOn === undefined ? undefined : Date.parse(publishedOn) * 1000;
  const age = published === undefined ? null : Math.floor((now() - published) / DAY_MICROS);
  return { library, version, published_on: publishedOn ?? null, age_days: age };
}

function priceOf(price: ProviderPrice): z.infer<typeof priceAnswer> {
  const { provider, model, source, tiers, scale, units, requestFee, flags } = price;
  const unit = (rate: { amount: Parameters<typeof toText>[0]; per: Parameters<typeof toText>[0] }) => ({
    amount: toText(rate.amount),
    per: toText(rate.per),
  });
  return {
    provider,
    model,
    source,
    tiers: tiers.map(({ promptTokensAbove, rates: table }) => ({
      prompt_tokens_above: promptTokensAbove,
      per_million_tokens: Object.fromEntries(
        TOKEN_CLASSES.flatMap((name, index) => {
          const rate = table[index];
          return rate === undefined ? [] : [[name, toText(scaled(rate.coefficient * 1_000_000n, scale))]];
        }),
      ),
    })),
    per_unit: Object.fromEntries(
      UNIT_NAMES.flatMap((name) => {
        const rate = units[name];
        return rate === undefined ? [] : [[name, unit(rate)]];
      }),
    ),
    request_fee: requestFee === undefined ? null : unit(requestFee),
    flags: flags.map(({ code, detail }) => ({ code, detail })),
  };
}

function disagreementOf({ provider, model, kind, used, other, detail }: PriceDisagreement) {
  return { provider, model, kind, used, other, detail };
}
