import { compare, decimal, isNegative, toText, ZERO } from '@ergon/exact';
import type { Bucket, CompiledPrice } from '@ergon/rating';
import type { CardVersion, CatalogSnapshot } from '../catalog/snapshot.ts';
import type { StoredTotals } from '../record/account-store.ts';
import type { Client } from '../store/database.ts';
import type { Differences } from './differences.ts';
import type { ExpectedState } from './expected-state.ts';
import { pages } from './pages.ts';

type Row = { customer_id: bigint; card_version_id: bigint; period: string; totals: StoredTotals };

/**
 * Every accumulator: its quantity and charge against the events, and R(quantity) = charge where the price has one bucket and
 * runs cumulatively (invariant 2). Returns how many there are.
 */
export async function compareBuckets(
  client: Client,
  environmentId: number,
  catalog: CatalogSnapshot,
  expected: ExpectedState,
  differences: Differences,
): Promise<number> {
  const versions = new Map([...catalog.cards.values()].flat().map((version) => [version.id, version]));
  const seen = new Set<string>();
  const statement = `select customer_id, card_version_id, period, totals from accumulator where environment_id = ${environmentId}`;
  for await (const row of pages<Row>(client, statement)) {
    for (const [bucket, stored] of Object.entries(row.totals)) {
      const key = `${row.customer_id}|${row.card_version_id}|${row.period}|${bucket}`;
      seen.add(key);
      const sums = expected.buckets.get(key);
      const quantity = sums?.replayed === undefined ? sums?.quantity : sums.replayed.quantity;
      differences.number('accumulator quantity', key, quantity, stored.q);
      differences.number('accumulator charge', key, sums?.charged, stored.a);
      checkRate(key, bucket, stored, versions.get(Number(row.card_version_id)), differences);
    }
  }
  for (const key of expected.buckets.keys())
    if (!seen.has(key)) differences.add('accumulator', key, 'an entry', 'none');
  return seen.size;
}

function checkRate(
  key: string,
  name: string,
  stored: { readonly q: string; readonly a: string },
  version: CardVersion | undefined,
  differences: Differences,
): void {
  const found = version === undefined ? undefined : onlyBucket(version, name);
  if (found === undefined || found.price.timing !== 'cumulative') return;
  const quantity = decimal(stored.q);
  const charge = isNegative(quantity) ? ZERO : found.cell.rate.marginal(ZERO, quantity);
  if (compare(charge, decimal(stored.a)) !== 0) differences.add('R(quantity)', key, toText(charge), stored.a);
}

/** The bucket of a price that has only one, whatever the dimensions. */
function onlyBucket(version: CardVersion, name: string): { price: CompiledPrice; cell: Bucket } | undefined {
  for (const price of version.card.prices) {
    if (name !== `${price.key}/all`) continue;
    const cell = price.bucket({});
    if (cell?.key === 'all') return { price, cell };
  }
  return undefined;
}
