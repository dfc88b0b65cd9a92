import { priceSchema } from '@ergon/rating';
import { z } from '@hono/zod-openapi';
import { isDeepStrictEqual } from 'node:util';
import { type CatalogWrite, findOrCreateCustomer, findRateCard } from '../catalog/index.ts';
import { formatInstant, microsFromPostgres } from '../event/instant.ts';
import { refuse } from '../http/problem.ts';
import { catalogKey, instantInput, instantMicros } from '../http/wire.ts';
import { LIMITS } from '../limits.ts';
import { recordAction } from '../store/audit-log.ts';
import type { Queryable } from '../store/database.ts';
import { publishTerms } from './customer-terms.ts';
import { derivedCard } from './override-prices.ts';
import { findOverride, OVERRIDE_COLUMNS, type OverrideRow } from './override-store.ts';
import { wrong } from './subscribe.ts';
import { microsOrNull } from './subscription-store.ts';

export const overrideRequest = z
  .strictObject({
    rate_card: catalogKey,
    prices: z.array(priceSchema).min(1).max(LIMITS.overridePricesMax).optional().openapi({
      description:
        "Prices of the customer's own, laid over the card: each replaces the card's price of that key, or of that meter and match, and wins over its other prices of the meter. All else follows the card, its coming versions too",
    }),
    effective_from: instantInput.optional().openapi({ description: 'Default: now. Never in the past' }),
    effective_to: instantInput.nullish().openapi({ description: 'Default: without end' }),
  })
  .openapi('CustomerOverrideRequest');

export type OverrideSpec = z.infer<typeof overrideRequest>;

/** Rates the customer by the card between two instants. @throws a problem when that contradicts what was rated. */
export async function putOverride(
  write: CatalogWrite,
  { customer: id, key, spec }: { customer: string; key: string; spec: OverrideSpec },
): Promise<OverrideRow> {
  const { client, environmentId, actor, now } = write;
  if ((await findRateCard(client, environmentId, spec.rate_card)) === undefined) {
    throw wrong('/rate_card', `there is no rate card ${spec.rate_card}`, 'publish it first: PUT /v1/rate_cards/{key}');
  }
  const customer = await findOrCreateCustomer(client, environmentId, id);
  const known = await findOverride(client, environmentId, customer.id, key);
  const span = spanOf(spec, known, now);
  await refuseOverlap(client, environmentId, customer.id, key, span);
  await refuseMany(client, environmentId, customer.id);
  const { rate_card: rateCard, prices } = spec;
  // One in force keeps its derived card: its prices are the same.
  const isInForce = known !== undefined && microsFromPostgres(known.effective_from) <= now;
  const overlaid = prices && { key, rateCard, prices };
  const derived = isInForce
    ? known.derived_card
    : ((overlaid && (await derivedCard(client, environmentId, overlaid, formatInstant(now)))) ?? null);
  const result = await client.query<OverrideRow>(
    `insert into customer_override (environment_id, customer_id, key, rate_card, effective_from, effective_to, prices, derived_card)
     values ($1, $2, $3, $4, $5, $6, $7::jsonb, $8)
     on conflict (environment_id, customer_id, key) do update set rate_card = excluded.rate_card,
       effective_from = excluded.effective_from, effective_to = excluded.effective_to, prices = excluded.prices,
       derived_card = excluded.derived_card
     returning ${OVERRIDE_COLUMNS}`,
    [
      ...[environmentId, customer.id, key, rateCard, span.from, span.to],
      ...[prices === undefined ? null : JSON.stringify(prices), derived],
    ],
  );
  const row = result.rows[0];
  if (row === undefined) throw new Error('the override was not written');
  await publishTerms(client, environmentId, customer.id);
  await recordAction(client, {
    environmentId,
    actor,
    action: 'customer_override.put',
    target: `/v1/customers/${encodeURIComponent(id)}/overrides/${key}`,
    detail: { ...spec, effective_from: span.from, effective_to: span.to },
  });
  return row;
}

/** What has been rated keeps its price: an override begins now or later, and ends now or later. */
function spanOf(body: OverrideSpec, known: OverrideRow | undefined, now: number): { from: string; to: string | null } {
  const hasBegun = known !== undefined && microsFromPostgres(known.effective_from) <= now;
  const endedAt = known === undefined ? null : microsOrNull(known.effective_to);
  if (hasBegun && endedAt !== null && endedAt <= now) {
    throw refuse('conflict', `the override ${known.key} has ended, and usage since then is rated without it`, [
      { pointer: '', detail: 'it has ended', remedy: 'make another under a new key' },
    ]);
  }
  const from = hasBegun
    ? microsFromPostgres(known.effective_from)
    : body.effective_from === undefined
      ? now
      : instantMicros(body.effective_from);
  const to = typeof body.effective_to === 'string' ? instantMicros(body.effective_to) : null;
  const isMoved = body.effective_from !== undefined && instantMicros(body.effective_from) !== from;
  const isOther = known?.rate_card !== body.rate_card || !isDeepStrictEqual(known.prices ?? undefined, body.prices);
  if (hasBegun && (isMoved || isOther)) {
    throw refuse('conflict', `the override ${known.key} has rated events since ${formatInstant(from)}`, [
      { pointer: '/rate_card', detail: 'it is in force', remedy: 'end it, and make another under a new key' },
    ]);
  }
  if (!hasBegun && from < now) {
    throw wrong('/effective_from', 'events since then have been rated already', 'leave it out to begin now');
  }
  if (to !== null && to <= Math.max(from, now - 1)) {
    throw wrong('/effective_to', 'an override ends after it begins, and not in the past', 'name a later instant');
  }
  return { from: formatInstant(from), to: to === null ? null : formatInstant(to) };
}

async function refuseOverlap(
  db: Queryable,
  environmentId: number,
  customerId: bigint,
  key: string,
  { from, to }: { from: string; to: string | null },
): Promise<void> {
  const other = await db.query<{ key: string }>(
    `select key from customer_override where environment_id = $1 and customer_id = $2 and key <> $3
       and tstzrange(effective_from, effective_to) && tstzrange($4, $5) limit 1`,
    [environmentId, customerId, key, from, to],
  );
  const [row] = other.rows;
  if (row === undefined) return;
  throw refuse('conflict', `the override ${row.key} of this customer holds at that time`, [
    {
      pointer: '/effective_from',
      detail: 'two overrides overlap',
      remedy: 'end the other one first, or begin after it',
    },
  ]);
}

async function refuseMany(db: Queryable, environmentId: number, customerId: bigint): Promise<void> {
  const result = await db.query<{ count: bigint }>(
    'select count(*) as count from customer_override where environment_id = $1 and customer_id = $2',
    [environmentId, customerId],
  );
  if ((result.rows[0]?.count ?? 0n) < BigInt(LIMITS.termsMax)) return;
  throw refuse('conflict', `a customer has at most ${LIMITS.termsMax} overrides, past ones included`);
}
