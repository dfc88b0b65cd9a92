import { compileRateCard, type rateCardSchema } from '@ergon/rating';
import type { z } from '@hono/zod-openapi';
import { formatInstant, microsFromPostgres } from '../event/instant.ts';
import { refuse } from '../http/problem.ts';
import { instantMicros, instantText } from '../http/wire.ts';
import { recordAction } from '../store/audit-log.ts';
import type { Client } from '../store/database.ts';
import { builtInMeter } from './built-in-meters.ts';
import type { CatalogWrite } from './catalog-write.ts';
import { deriveVersions, overlaysOf } from './derived-cards.ts';
import { listMeters } from './meter-store.ts';
import { type CardVersionRow, findLatest, insertVersion } from './rate-card-store.ts';
import { raiseRevision } from './revision.ts';

type RateCardSpec = z.infer<typeof rateCardSchema>;

export type RateCardPublish = {
  readonly key: string;
  readonly spec: RateCardSpec;
  /** When it comes into force; at once when left out, from the beginning for the first version. */
  readonly effectiveFrom: string | undefined;
  /** Whether nothing can have been rated by the card: then its versions may begin in the past. */
  readonly isUnused?: boolean;
  /** It may begin in the past: the caller re-rates what happened since. */
  readonly isCorrection?: boolean;
};

/** In force from the beginning: the earliest instant an event may have. */
const BEGINNING = '2000-01-01T00:00:00Z';

/** A new version of a card. @throws a problem when it does not hold together or would begin in the past. */
export async function publishRateCard(
  write: CatalogWrite,
  { key, spec, effectiveFrom: wanted, isUnused = false, isCorrection = false }: RateCardPublish,
): Promise<CardVersionRow> {
  const { client, environmentId, actor, now } = write;
  const compiled = compileRateCard(spec);
  if (!compiled.ok) throw refuse('invalid_catalog', 'the rate card does not hold together', compiled.errors);
  await checkMeters(client, environmentId, spec);
  checkMarkups(spec);
  const latest = await findLatest(client, environmentId, key);
  const row = await insertVersion(client, environmentId, {
    key,
    version: (latest?.version ?? 0) + 1,
    effectiveFrom: effectiveFrom(wanted, { hasPredecessor: latest !== undefined && !isUnused, isCorrection, now }),
    spec,
  });
  await deriveAll(write, key, isCorrection ? Math.min(now, microsFromPostgres(row.effective_from)) : now);
  await raiseRevision(client, environmentId);
  await recordAction(client, {
    environmentId,
    actor,
    action: 'rate_card.publish',
    target: `/v1/rate_cards/${key}`,
    detail: { version: row.version, effective_from: instantText(row.effective_from), prices: spec.prices.length },
  });
  return row;
}

/** Judged under the catalog's lock: what is rated after it may use the version at once, nothing before it could. */
function effectiveFrom(
  wanted: string | undefined,
  { hasPredecessor, isCorrection, now }: { hasPredecessor: boolean; isCorrection: boolean; now: number },
): string {
  if (wanted === undefined) return hasPredecessor ? formatInstant(now) : BEGINNING;
  const micros = instantMicros(wanted);
  if (hasPredecessor && micros < now && !isCorrection) {
    throw refuse('invalid_catalog', 'a version cannot come into force in the past', [
      {
        pointer: '/effective_from',
        detail: 'events since then have been rated already',
        remedy:
          'leave it out to bring the version into force at once, name an instant to come, or correct what was rated: PUT /v1/rate_cards/{key} with "rerate": true',
      },
    ]);
  }
  return formatInstant(micros);
}

/** Customers with prices of their own over this card are rated by its versions since then too, with those prices. */
async function deriveAll({ client, environmentId }: CatalogWrite, key: string, since: number): Promise<void> {
  for (const overlay of await overlaysOf(client, environmentId, key, formatInstant(since))) {
    const [error] = await deriveVersions(client, environmentId, overlay, formatInstant(since));
    if (error === undefined) continue;
    const { customer, override } = overlay;
    throw refuse(
      'invalid_catalog',
      `with the prices of ${customer}'s override ${override} the card does not hold together`,
      [{ pointer: '/prices', detail: error.detail, remedy: `end the override first, or: ${error.remedy}` }],
    );
  }
}

/** A provider's price and a machine's are in US dollars: with a markup they would be charged as if they were of the card's currency. */
function checkMarkups({ currency, prices }: RateCardSpec): void {
  if (currency === 'USD') return;
  const errors = prices.flatMap(({ meter, charge_model: model }, index) => {
    if (model.type !== 'cost_plus' || !DOLLAR_METERS.has(meter)) return [];
    const detail = `${meter} is in USD, and the card in ${currency}`;
    const remedy =
      'make it a card in USD, or convert it: a per_unit price of what one USD is worth, with the markup in it';
    return [{ pointer: `/prices/${index}/charge_model/type`, detail, remedy }];
  });
  if (errors.length > 0)
    throw refuse('invalid_catalog', 'the rate card marks up another currency than its own', errors);
}

const DOLLAR_METERS: ReadonlySet<string> = new Set(['provider_cost', 'physical_cost']);

/** A price for a meter that does not exist would silently charge nothing. */
export async function checkMeters(
  client: Client,
  environmentId: number,
  spec: Pick<RateCardSpec, 'prices'>,
): Promise<void> {
  const own = new Set((await listMeters(client, environmentId)).map((meter) => meter.key));
  const errors = spec.prices.flatMap((price, index) => {
    const pointer = `/prices/${index}/meter`;
    if (price.meter === 'charge') {
      return [{ pointer, detail: 'charge is what prices make; it has no price itself', remedy: 'price another meter' }];
    }
    if (own.has(price.meter) || builtInMeter(price.meter) !== undefined) return [];
    const remedy = 'create the meter first (PUT /v1/meters/{key}), or correct its name';
    return [{ pointer, detail: `there is no meter ${price.meter}`, remedy }];
  });
  if (errors.length > 0) throw refuse('invalid_catalog', 'the rate card prices meters that do not exist', errors);
}
