import type { BillingTerms, SubscriptionTerms } from '../catalog/billing-terms.ts';
import { raiseRevision } from '../catalog/index.ts';
import { microsFromPostgres } from '../event/instant.ts';
import type { Client, Queryable } from '../store/database.ts';
import { microsOrNull, type Subscription, subscriptionsOf } from './subscription-store.ts';

type OverrideRow = { card: string; effective_from: string; effective_to: string | null };

/** What rating needs of a customer, from the tables. */
async function compileTerms(db: Queryable, environmentId: number, customerId: bigint): Promise<BillingTerms> {
  const overrides = await db.query<OverrideRow>(
    `select coalesce(derived_card, rate_card) as card, effective_from, effective_to from customer_override
     where environment_id = $1 and customer_id = $2 order by effective_from`,
    [environmentId, customerId],
  );
  const subscriptions = await subscriptionsOf(db, environmentId, customerId);
  return {
    overrides: overrides.rows.map((row) => ({
      from: microsFromPostgres(row.effective_from),
      to: microsOrNull(row.effective_to),
      card: row.card,
    })),
    subscriptions: subscriptions.map(subscriptionTerms),
  };
}

export function subscriptionTerms(subscription: Subscription): SubscriptionTerms {
  const { id, timeZone, anchorOn, unit, count, startsAt, endsAt, phases } = subscription;
  return {
    id: Number(id),
    zone: timeZone,
    anchor: anchorOn,
    unit,
    count,
    from: startsAt,
    to: endsAt,
    phases: phases.map(({ from, plan, rateCard }) => ({
      from,
      card: rateCard ?? plan.rate_card ?? null,
      next: plan.card_changes === 'next_period',
    })),
  };
}

/** Puts the customer's terms where ingest reads them. Under the catalog's lock: no event is rated by the old ones afterwards. */
export async function publishTerms(client: Client, environmentId: number, customerId: bigint): Promise<void> {
  const terms = await compileTerms(client, environmentId, customerId);
  await client.query('update customer set terms = $3::jsonb where environment_id = $1 and id = $2', [
    environmentId,
    customerId,
    termsText(terms),
  ]);
  await raiseRevision(client, environmentId);
}

/** Customers whose compiled terms are not what their subscriptions and overrides say: rating would choose another price. */
export async function staleTerms(db: Queryable, environmentId: number): Promise<string[]> {
  const customers = await db.query<{ id: bigint; external_id: string }>(
    `select id, external_id from customer c where environment_id = $1 and (terms is not null
       or exists (select from subscription s where s.environment_id = $1 and s.customer_id = c.id)
       or exists (select from customer_override o where o.environment_id = $1 and o.customer_id = c.id)) order by id`,
    [environmentId],
  );
  const stale: string[] = [];
  for (const { id, external_id: name } of customers.rows) {
    const same = await db.query(
      'select from customer where environment_id = $1 and id = $2 and terms is not distinct from $3::jsonb',
      [environmentId, id, termsText(await compileTerms(db, environmentId, id))],
    );
    if (same.rowCount === 0) stale.push(name);
  }
  return stale;
}

function termsText(terms: BillingTerms): string | null {
  return terms.overrides.length === 0 && terms.subscriptions.length === 0 ? null : JSON.stringify(terms);
}
