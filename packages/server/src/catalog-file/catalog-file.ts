import { z } from '@hono/zod-openapi';
import { DEFINITIONS, overrideRequest } from '../billing/index.ts';
import { meterSchema } from '../catalog/custom-meter.ts';
import { providerPriceRequest, rateCardRequest } from '../catalog/index.ts';
import { catalogKey, externalId } from '../http/wire.ts';
import { LIMITS } from '../limits.ts';

/** The kinds of entries, each before those that may name it: they are written in this order. */
export const KINDS = [
  'meters',
  'features',
  'rate_cards',
  'plans',
  'add_ons',
  'coupons',
  'provider_price_overrides',
  'model_aliases',
  'customer_overrides',
] as const;
export type Kind = (typeof KINDS)[number];

/** One version, or several that follow each other: at most one of them without `effective_from`. */
function versionsOf<Version extends z.ZodType>(version: Version) {
  return z.union([version, z.array(version).min(1).max(LIMITS.catalogVersionsMax)]);
}

/**
 * A catalog as one document, `ergon apply` takes it and `ergon catalog export` writes it. What it holds is said as the routes
 * of each kind take it; what it leaves out stays as it is.
 */
export const catalogFile = z
  .strictObject({
    $schema: z.string().max(2048).optional().openapi({ description: 'Where this schema is, for editors' }),
    meters: z
      .record(catalogKey, meterSchema)
      .openapi({ description: 'What is counted, by key. A meter never changes' }),
    features: z.record(catalogKey, DEFINITIONS.feature.spec).openapi({ description: 'What plans entitle to, by key' }),
    rate_cards: z.record(catalogKey, versionsOf(rateCardRequest)).openapi({
      description: 'By key: what holds from now on, or a list of it and of versions to come (`effective_from`)',
    }),
    plans: z
      .record(catalogKey, DEFINITIONS.plan.spec)
      .openapi({ description: 'Fees, usage charges, allowances and entitlements, by key' }),
    add_ons: z
      .record(catalogKey, DEFINITIONS.add_on.spec)
      .openapi({ description: 'What subscriptions take beside their plan, by key' }),
    coupons: z.record(catalogKey, DEFINITIONS.coupon.spec).openapi({ description: 'What is taken off, by key' }),
    provider_price_overrides: z
      .record(catalogKey, versionsOf(providerPriceRequest))
      .openapi({ description: 'What providers charge by contract, by key: one price, or a list as for rate cards' }),
    model_aliases: z
      .record(externalId, externalId)
      .openapi({ description: 'Which model each reported name stands for', example: { 'chat-prod-eu': 'gpt-5-mini' } }),
    customer_overrides: z
      .record(externalId, z.record(catalogKey, overrideRequest))
      .openapi({ description: 'By customer, then by key' }),
  })
  .partial()
  .refine(
    (file) => entryCount(file) <= LIMITS.catalogEntriesMax,
    `at most ${LIMITS.catalogEntriesMax} entries; divide the file`,
  )
  .openapi('Catalog');
export type CatalogFile = z.infer<typeof catalogFile>;

function entryCount(file: Readonly<Record<string, unknown>>): number {
  let count = 0;
  for (const kind of KINDS) {
    const entries = Object.values(file[kind] ?? {});
    count += kind === 'customer_overrides' ? entries.flatMap((one) => Object.keys(one)).length : entries.flat().length;
  }
  return count;
}
