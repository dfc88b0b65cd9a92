import { hash } from 'node:crypto';
import { builtInMeter, TOKEN_METERS } from '../catalog/built-in-meters.ts';
import { applyTerms, termChanges } from '../catalog/billing-terms.ts';
import { type BilledCustomer, customersById } from '../catalog/customers.ts';
import { requestRerate } from '../catalog/index.ts';
import { type CardVersion, type CatalogSnapshot, loadSnapshot } from '../catalog/snapshot.ts';
import { microsFromPostgres } from '../event/instant.ts';
import { MINUTE_MICROS } from '../record/rollups.ts';
import type { Client, Database } from '../store/database.ts';
import { int8Array, textArray } from '../store/pg-arrays.ts';

/** Customers that one automatic re-rating takes together. */
const CUSTOMERS_TOGETHER = 500;

/**
 * Looks through the unrated usage of environments whose catalog has changed since it was last looked through, and asks for a
 * re-rating where a price may be there now. What a customer's usage was tried with is remembered: a change of the catalog
 * that changes none of it costs one comparison.
 */
export async function findPriceable(database: Database, now: (environmentId: number) => number): Promise<void> {
  const due = await database.pool.query<{ id: number }>({
    name: 'unrated_due',
    text: `select e.id from environment e left join unrated_checked c on c.environment_id = e.id
      where e.catalog_revision is distinct from c.catalog_revision
        and exists (select from unrated_usage u where u.environment_id = e.id and u.customer_id > 0)`,
  });
  for (const { id } of due.rows) await database.transaction((client) => findInEnvironment(client, id, now(id)));
}

type Group = { customer_id: bigint; meter: string; model: string; first: string; last: string };

async function findInEnvironment(client: Client, environmentId: number, now: number): Promise<void> {
  // One process looks; the revision that it read is the one that it has checked.
  await client.query(
    'insert into unrated_checked (environment_id, catalog_revision) values ($1, -1) on conflict do nothing',
    [environmentId],
  );
  const mine = await client.query('select from unrated_checked where environment_id = $1 for update skip locked', [
    environmentId,
  ]);
  if (mine.rowCount === 0) return;
  const catalog = await loadSnapshot(client, environmentId);
  let after = 0;
  for (;;) {
    const groups = await groupsAfter(client, environmentId, after);
    const last = groups.at(-1);
    if (last === undefined) break;
    await requestFor(client, catalog, groups, now);
    after = Number(last.customer_id);
  }
  await client.query('update unrated_checked set catalog_revision = $2 where environment_id = $1', [
    environmentId,
    catalog.revision.toString(),
  ]);
}

/** Unrated usage of the next customers, by meter and model. */
async function groupsAfter(client: Client, environmentId: number, after: number): Promise<Group[]> {
  const result = await client.query<Group>(
    `select customer_id, meter, model, min(minute) as first, max(minute) as last from unrated_usage
     where environment_id = $1 and event_count > 0 and customer_id in (
       select distinct customer_id from unrated_usage where environment_id = $1 and customer_id > $2::int8 order by 1 limit ${CUSTOMERS_TOGETHER})
     group by 1, 2, 3 order by 1, 2, 3`,
    [environmentId, after],
  );
  return result.rows;
}

async function requestFor(client: Client, catalog: CatalogSnapshot, groups: readonly Group[], now: number) {
  const { environmentId } = catalog;
  const ids = [...new Set(groups.map((group) => Number(group.customer_id)))];
  const customers = new Map((await customersById(client, environmentId, ids)).map((one) => [one.id, one]));
  const tried = await triedPrices(client, environmentId, ids);
  const found: { id: number; prices: string }[] = [];
  let [from, to] = [Number.POSITIVE_INFINITY, 0];
  for (const id of ids) {
    const customer = customers.get(id);
    if (customer === undefined) continue;
    const own = groups.filter((group) => Number(group.customer_id) === id);
    const versions = own.map((group) => versionsOf(catalog, customer, group));
    const prices = fingerprint(catalog, own, versions);
    if (tried.get(id) === prices) continue;
    if (!own.some((group, index) => versions[index]?.some((version) => mayPrice(version, group.meter)))) continue;
    found.push({ id, prices });
    for (const group of own) {
      from = Math.min(from, microsFromPostgres(group.first));
      to = Math.max(to, microsFromPostgres(group.last) + MINUTE_MICROS);
    }
  }
  if (found.length === 0) return;
  await requestRerate(client, environmentId, {
    customerIds: found.map(({ id }) => id),
    ...{ from, to, at: now },
    ...{ onlyUnrated: true, isDryRun: false, isAutomatic: true, requestedBy: 'system' },
  });
  await rememberTried(client, environmentId, found);
}

/** Card versions that may rate the group's usage: those in force for the customer while it happened. */
function versionsOf(catalog: CatalogSnapshot, customer: BilledCustomer, group: Group): CardVersion[] {
  const from = microsFromPostgres(group.first);
  const to = microsFromPostgres(group.last) + MINUTE_MICROS;
  const versions = [from, ...termChanges(catalog, customer, from, to)].flatMap(
    (at) => applyTerms(catalog, customer, at).version ?? [],
  );
  return [...new Set(versions)];
}

const TOKENS: ReadonlySet<string> = new Set(['total_tokens', ...TOKEN_METERS.map(({ key }) => key)]);

/** Whether the card has any price that could be the meter's: token classes fall back to one another. */
function mayPrice({ card }: CardVersion, meter: string): boolean {
  const isToken = builtInMeter(meter) !== undefined && TOKENS.has(meter);
  return card.prices.some((price) => price.meter === meter || (isToken && TOKENS.has(price.meter)));
}

function fingerprint(
  { resolveModel }: CatalogSnapshot,
  groups: readonly Group[],
  versions: readonly (readonly CardVersion[])[],
): string {
  const parts = groups.map(({ meter, model }, index) => [
    meter,
    model,
    model === '' ? '' : resolveModel(model).canonical,
    versions[index]?.map(({ id }) => id),
  ]);
  return hash('sha256', JSON.stringify(parts), 'hex').slice(0, 32);
}

async function triedPrices(
  client: Client,
  environmentId: number,
  ids: readonly number[],
): Promise<Map<number, string>> {
  const result = await client.query<{ customer_id: bigint; prices: string }>(
    'select customer_id, prices from unrated_tried where environment_id = $1 and customer_id = any($2::int8[])',
    [environmentId, int8Array(ids)],
  );
  return new Map(result.rows.map((row) => [Number(row.customer_id), row.prices]));
}

async function rememberTried(client: Client, environmentId: number, found: readonly { id: number; prices: string }[]) {
  await client.query(
    `insert into unrated_tried (environment_id, customer_id, prices) select $1, c, p from unnest($2::int8[], $3::text[]) as s(c, p)
     on conflict (environment_id, customer_id) do update set prices = excluded.prices`,
    [environmentId, int8Array(found.map(({ id }) => id)), textArray(found.map(({ prices }) => prices))],
  );
}
