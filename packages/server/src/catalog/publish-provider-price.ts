import { formatInstant } from '../event/instant.ts';
import { refuse } from '../http/problem.ts';
import { instantText } from '../http/wire.ts';
import { LIMITS } from '../limits.ts';
import type { ProviderPrices } from '../provider-prices/index.ts';
import { recordAction } from '../store/audit-log.ts';
import type { CatalogWrite } from './catalog-write.ts';
import { type PriceOverrideSpec, priceOverrideOf } from './price-override-schema.ts';
import {
  comingPriceOverrides,
  countPriceOverrides,
  findPriceOverride,
  insertPriceOverride,
  type PriceOverrideRow,
} from './price-override-store.ts';
import { raiseRevision } from './revision.ts';

export type ProviderPricePublish = {
  readonly key: string;
  /** Null: taken back. */
  readonly spec: PriceOverrideSpec | null;
  /** By event time; at once when left out, from the beginning for the first version. May lie in the past. */
  readonly effectiveFrom: string | undefined;
};

/** In force from the beginning: the earliest instant an event may have. */
const BEGINNING = '2000-01-01T00:00:00Z';

/** A new version of a provider price. @throws a problem when it does not hold together. */
export async function publishProviderPrice(
  { client, environmentId, actor, now }: CatalogWrite,
  table: ProviderPrices,
  { key, spec, effectiveFrom }: ProviderPricePublish,
): Promise<PriceOverrideRow> {
  if (spec !== null) checkCompiles(table, spec);
  if ((await countPriceOverrides(client, environmentId)) >= LIMITS.priceOverrideVersionsMax) {
    throw refuse(
      'conflict',
      `an environment has at most ${LIMITS.priceOverrideVersionsMax} versions of provider prices of its own`,
    );
  }
  const latest = await findPriceOverride(client, environmentId, key);
  const row = await insertPriceOverride(client, environmentId, {
    key,
    version: (latest?.version ?? 0) + 1,
    effectiveFrom: effectiveFrom ?? (latest === undefined ? BEGINNING : formatInstant(now)),
    spec,
  });
  await raiseRevision(client, environmentId);
  await recordAction(client, {
    environmentId,
    actor,
    action: spec === null ? 'provider_price.delete' : 'provider_price.put',
    target: `/v1/provider_price_overrides/${key}`,
    detail: { version: row.version, effective_from: instantText(row.effective_from) },
  });
  return row;
}

/** No price of the key from now on, those included that were to come into force later. */
export async function takeBackProviderPrice(write: CatalogWrite, table: ProviderPrices, key: string): Promise<void> {
  const { client, environmentId, now } = write;
  await publishProviderPrice(write, table, { key, spec: null, effectiveFrom: undefined });
  for (const instant of await comingPriceOverrides(client, environmentId, key, now)) {
    await publishProviderPrice(write, table, { key, spec: null, effectiveFrom: instantText(instant) });
  }
}

/** What the schema cannot see: a tier of a class that has no base price. */
function checkCompiles(table: ProviderPrices, spec: PriceOverrideSpec): void {
  try {
    table.withOverrides([priceOverrideOf(spec, undefined, undefined)]);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw refuse('invalid_catalog', 'the provider price does not hold together', [
      { pointer: '/context_tiers', detail: error.message, remedy: 'give each class of a tier a base price as well' },
    ]);
  }
}
