import { decimal, toText } from '@ergon/exact';
import { type ChargeLine, chargeFor, chargeRequestSchema, type CompiledRateCard, compileRateCard } from '@ergon/rating';
import { z } from '@hono/zod-openapi';
import { parseInstant } from '../event/instant.ts';
import type { AppServices } from '../http/context.ts';
import { type App, readRoute } from '../http/operation.ts';
import { refuse } from '../http/problem.ts';
import { catalogKey, currencyCode, decimalOutput, instantInput } from '../http/wire.ts';
import { LIMITS } from '../limits.ts';
import { currentSnapshot } from './current-snapshot.ts';
import { previewCard, type PreviewedUsage } from './preview-card.ts';
import { type CatalogSnapshot, versionAt } from './snapshot.ts';

const { charge_model, quantity, previous_quantity, transactions, dimensions } = chargeRequestSchema.shape;

const usageItem = z.strictObject({ meter: catalogKey, quantity, previous_quantity, transactions, dimensions });

const rateBody = z
  .strictObject({
    charge_model: charge_model.optional(),
    rate_card: catalogKey.optional().openapi({ description: 'A published card, instead of charge_model' }),
    card: z.record(z.string(), z.unknown()).optional().openapi({ description: 'A card that is not published' }),
    at: instantInput.optional().openapi({ description: 'Of rate_card: the version in force then; default now' }),
    usage: z
      .array(usageItem)
      .min(1)
      .max(LIMITS.previewedUsageMax)
      .optional()
      .openapi({ description: 'Of a card: what was used, in order' }),
    ...{ quantity, previous_quantity, transactions, dimensions },
    currency: currencyCode.optional().openapi({ description: 'Of charge_model, which has none of its own' }),
  })
  .openapi('RateRequest');

type RateBody = z.output<typeof rateBody>;

const lineAnswer = z.strictObject({
  meter: z.string().optional().openapi({ description: 'Of a card, as price and bucket' }),
  price: z.string().optional(),
  bucket: z.string().optional().openapi({ description: 'Absent where it falls due at the close' }),
  description: z.string().optional(),
  tier: z.number().int().optional().openapi({ description: 'From 1' }),
  quantity: decimalOutput,
  unit_amount: decimalOutput.optional(),
  flat_amount: decimalOutput.optional(),
  amount: decimalOutput,
});

const rateAnswer = z
  .strictObject({
    amount: decimalOutput,
    currency: z.string(),
    rate_card: z.string().optional(),
    version: z.int().optional(),
    lines: z.array(lineAnswer),
    unrated: z
      .array(
        z.strictObject({
          meter: z.string(),
          quantity: decimalOutput,
          reason: z.enum(['no_price', 'no_matching_cell']),
        }),
      )
      .optional()
      .openapi({ description: 'Usage that the card has no price for' }),
  })
  .openapi('Charge');

type RateAnswer = z.output<typeof rateAnswer>;

export function registerRateRoute(app: App, services: AppServices): void {
  readRoute(
    app,
    services,
    {
      method: 'post',
      path: '/v1/rate',
      operationId: 'rate',
      tag: 'Catalog',
      scope: 'catalog:read',
      summary: 'Preview a charge',
      description:
        'What a quantity costs under a charge model, after `previous_quantity` of the same period; or what a list of usage costs under a published rate card or one in `card`. Without a `previous_quantity` it is a whole period, with what falls due at its close. Reads no usage and writes nothing.',
      body: rateBody,
      answer: rateAnswer,
      problems: ['invalid_catalog', 'not_found'],
    },
    async ({ environmentId, body }) => {
      checkMembers(body);
      if (body.charge_model !== undefined) return modelCharge(body);
      const catalog = await currentSnapshot(services, environmentId);
      return cardCharge(catalog, body, services.clocks.now(environmentId));
    },
  );
}

const OF_MODEL = ['quantity', 'previous_quantity', 'transactions', 'dimensions', 'currency'] as const;

/** Exactly one thing to price by, and nothing that belongs to another. */
function checkMembers(body: RateBody): void {
  const named = (['charge_model', 'rate_card', 'card'] as const).filter((name) => body[name] !== undefined);
  const isModel = body.charge_model !== undefined;
  const strangers = (isModel ? (['usage', 'at'] as const) : OF_MODEL).filter((name) => body[name] !== undefined);
  const errors = [
    ...(named.length === 1
      ? []
      : [{ pointer: '', detail: `${named.length} of charge_model, rate_card and card`, remedy: 'give exactly one' }]),
    ...(isModel && body.currency === undefined
      ? [{ pointer: '/currency', detail: 'a charge model has no currency of its own', remedy: 'name one, such as USD' }]
      : []),
    ...(isModel || body.usage !== undefined
      ? []
      : [{ pointer: '/usage', detail: 'a card prices a list of usage', remedy: 'give meters and quantities' }]),
    ...(body.card !== undefined && body.at !== undefined
      ? [{ pointer: '/at', detail: 'a card that is not published has no versions', remedy: 'leave it out' }]
      : []),
    ...strangers.map((name) => ({
      pointer: `/${name}`,
      detail: `does not go with a ${isModel ? 'charge model' : 'card'}`,
      remedy: isModel ? 'give quantity or transactions' : 'put it into usage, or leave it out',
    })),
  ];
  if (errors.length > 0) throw refuse('invalid_request', 'the body is not valid', errors);
}

function modelCharge({
  currency = '',
  rate_card: _card,
  card: _own,
  at: _at,
  usage: _usage,
  ...request
}: RateBody): RateAnswer {
  const charge = chargeFor(request);
  if (!charge.ok) throw refuse('invalid_catalog', 'the charge model does not hold together', charge.errors);
  return { amount: toText(charge.value.amount), currency, lines: charge.value.lines.map(lineOf) };
}

function cardCharge(catalog: CatalogSnapshot, body: RateBody, now: number): RateAnswer {
  const { card, named } = cardOf(catalog, body, now);
  checkTransactions(body);
  const usage = (body.usage ?? []).map((item, index): PreviewedUsage => {
    if ((item.quantity === undefined) === (item.transactions === undefined)) {
      throw refuse('invalid_request', 'the body is not valid', [
        {
          pointer: `/usage/${index}/quantity`,
          detail: 'either quantity or transactions',
          remedy: 'give exactly one of the two',
        },
      ]);
    }
    const model = item.dimensions?.['model'];
    const canonical = model === undefined ? undefined : catalog.resolveModel(model).canonical;
    return {
      meter: item.meter,
      quantities: (item.transactions ?? [item.quantity ?? 0]).map((value) => decimal(String(value))),
      before: item.previous_quantity === undefined ? undefined : decimal(String(item.previous_quantity)),
      dimensions: { ...(canonical !== undefined && { canonical_model: canonical }), ...item.dimensions },
    };
  });
  const preview = previewCard(card, usage);
  if (!preview.ok) {
    throw refuse('invalid_request', 'the body is not valid', [
      { pointer: `/usage/${preview.index}/previous_quantity`, detail: preview.detail, remedy: preview.remedy },
    ]);
  }
  return {
    amount: toText(preview.amount),
    currency: card.currency,
    ...named,
    lines: preview.lines.map(({ meter, price, bucket, ...line }) => ({
      meter,
      price,
      ...(bucket !== undefined && { bucket }),
      ...lineOf(line),
    })),
    unrated: preview.unrated.map((one) => ({ ...one, quantity: toText(one.quantity) })),
  };
}

/** Each is priced while other requests wait. */
function checkTransactions({ usage = [] }: RateBody): void {
  const count = usage.reduce((total, { transactions: events }) => total + (events?.length ?? 0), 0);
  if (count <= LIMITS.previewedTransactionsMax) return;
  throw refuse('invalid_request', 'the body is not valid', [
    {
      pointer: '/usage',
      detail: `${count} transactions; at most ${LIMITS.previewedTransactionsMax} in all`,
      remedy: 'preview fewer, or simulate the card on real usage',
    },
  ]);
}

function cardOf(
  catalog: CatalogSnapshot,
  { rate_card: key, card: own, at }: RateBody,
  now: number,
): { card: CompiledRateCard; named: { rate_card?: string; version?: number } } {
  if (key === undefined) {
    const compiled = compileRateCard(own);
    if (compiled.ok) return { card: compiled.value, named: {} };
    const errors = compiled.errors.map((error) => ({ ...error, pointer: `/card${error.pointer}` }));
    throw refuse('invalid_catalog', 'the card is not valid', errors);
  }
  if (!catalog.cards.has(key)) throw refuse('not_found', `there is no rate card ${key}`);
  const version = versionAt(catalog, key, at === undefined ? now : (parseInstant(at) ?? now));
  if (version === undefined) throw refuse('not_found', `the rate card ${key} has no version in force then`);
  return { card: version.card, named: { rate_card: key, version: version.version } };
}

function lineOf(line: ChargeLine): z.infer<typeof lineAnswer> {
  return {
    ...(line.description !== undefined && { description: line.description }),
    ...(line.tier !== undefined && { tier: line.tier }),
    quantity: toText(line.quantity),
    ...(line.unitAmount !== undefined && { unit_amount: toText(line.unitAmount) }),
    ...(line.flatAmount !== undefined && { flat_amount: toText(line.flatAmount) }),
    amount: toText(line.amount),
  };
}
