import {
  compileRateCard,
  overlayPrices,
  type PriceSpec,
  priceSchema,
  rateCardSchema,
  type SpecError,
} from '@ergon/rating';
import { z } from 'zod';
import type { Queryable } from '../store/database.ts';

/** A customer's own prices laid over a card. */
export type Overlay = { readonly baseKey: string; readonly derivedKey: string; readonly prices: readonly PriceSpec[] };

const derivedPrices = z.array(priceSchema);

/**
 * Writes a derived version for each version of the card that rates now or later and has none yet. Under the catalog's lock.
 *
 * @returns what does not hold together when the prices are laid over the card; then nothing is to be committed.
 */
export async function deriveVersions(
  db: Queryable,
  environmentId: number,
  { baseKey, derivedKey, prices }: Overlay,
  now: string,
): Promise<readonly SpecError[]> {
  const versions = await db.query<{ id: bigint; spec: unknown }>(
    `select v.id, v.spec from rate_card_version v
     where v.environment_id = $1 and v.key = $2
       and (v.effective_from > $4 or v.id = (select c.id from rate_card_version c where c.environment_id = $1 and c.key = $2
         and c.effective_from <= $4 order by c.effective_from desc, c.id desc limit 1))
       and not exists (select from rate_card_version d where d.environment_id = $1 and d.key = $3 and d.version = v.version)
     order by v.id`,
    [environmentId, baseKey, derivedKey, now],
  );
  for (const { id, spec } of versions.rows) {
    const merged = overlayPrices(rateCardSchema.parse(spec), prices);
    const compiled = compileRateCard(merged);
    if (!compiled.ok) return compiled.errors;
    await db.query(
      `insert into rate_card_version (environment_id, key, version, effective_from, spec, base_id)
       select environment_id, $3, version, effective_from, $4::jsonb, id from rate_card_version where environment_id = $1 and id = $2`,
      [environmentId, id, derivedKey, JSON.stringify(merged)],
    );
  }
  return [];
}

/** The overlays of a card that hold now or later, with the customer's name and the override's. */
export async function overlaysOf(
  db: Queryable,
  environmentId: number,
  baseKey: string,
  now: string,
): Promise<(Overlay & { readonly customer: string; readonly override: string })[]> {
  const result = await db.query<{ derived_card: string; prices: unknown; customer: string; key: string }>(
    `select o.derived_card, o.prices, c.external_id as customer, o.key from customer_override o
       join customer c on c.environment_id = o.environment_id and c.id = o.customer_id
     where o.environment_id = $1 and o.rate_card = $2 and o.prices is not null and (o.effective_to is null or o.effective_to > $3)
     order by o.id`,
    [environmentId, baseKey, now],
  );
  return result.rows.map(({ derived_card: derivedKey, prices, customer, key }) => ({
    baseKey,
    derivedKey,
    prices: derivedPrices.parse(prices),
    customer,
    override: key,
  }));
}
