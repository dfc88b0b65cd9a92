import { type Decimal, decimal } from '@ergon/exact';
import { ROLLUP_METERS } from '../catalog/built-in-meters.ts';
import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import { microsFromPostgres } from '../event/instant.ts';
import type { Client } from '../store/database.ts';
import type { Differences } from './differences.ts';
import type { ExpectedState } from './expected-state.ts';
import { pages } from './pages.ts';

type UsageRow = { customer_id: bigint; minute: string; dimension_set_id: string } & Record<string, unknown>;

/** Every row of usage_rollup against the sums of the events; returns how many there are. */
export async function compareUsage(
  client: Client,
  environmentId: number,
  expected: ExpectedState,
  differences: Differences,
): Promise<number> {
  const columns = ROLLUP_METERS.map((meter) => `${meter.column}::text`).join(', ');
  const seen = new Set<string>();
  const statement = `select customer_id, minute, dimension_set_id, ${columns} from usage_rollup where environment_id = ${environmentId}`;
  for await (const row of pages<UsageRow>(client, statement)) {
    const key = `${row.customer_id}|${microsFromPostgres(row.minute)}|${row.dimension_set_id.replaceAll('-', '')}`;
    seen.add(key);
    const sums = expected.usage.get(key);
    for (const { key: meter, column } of ROLLUP_METERS) {
      const found = column === null ? null : row[column];
      differences.number('usage rollup', `${key}|${meter}`, sums?.get(meter), typeof found === 'string' ? found : null);
    }
  }
  for (const key of expected.usage.keys()) if (!seen.has(key)) differences.add('usage rollup', key, 'a row', 'none');
  return seen.size;
}

type MeterRow = {
  meter_id: bigint;
  customer_id: bigint;
  minute: string;
  dimension_set_id: string;
  event_count: bigint;
  total: string | null;
  least: string | null;
  greatest: string | null;
  latest: string | null;
  values: bigint;
};

/** Every row of meter_rollup whose meter is in the catalog; returns how many there are. */
export async function compareMeters(
  client: Client,
  environmentId: number,
  catalog: CatalogSnapshot,
  expected: ExpectedState,
  differences: Differences,
): Promise<number> {
  const known = new Map(catalog.meters.map((meter) => [String(meter.id), meter.key]));
  const seen = new Set<string>();
  const statement = `select r.meter_id, r.customer_id, r.minute, r.dimension_set_id, r.event_count, r.total, r.least, r.greatest, r.latest,
      (select count(*) from meter_value v where v.environment_id = r.environment_id and v.meter_id = r.meter_id
        and v.customer_id = r.customer_id and v.minute = r.minute and v.dimension_set_id = r.dimension_set_id) as values
    from meter_rollup r where r.environment_id = ${environmentId}`;
  for await (const row of pages<MeterRow>(client, statement)) {
    const meter = known.get(String(row.meter_id));
    if (meter === undefined) continue;
    const key = `${row.meter_id}|${row.customer_id}|${microsFromPostgres(row.minute)}|${row.dimension_set_id.replaceAll('-', '')}`;
    seen.add(key);
    const sums = expected.meters.get(key);
    const check = (name: string, want: Decimal | undefined, found: string | null): void =>
      differences.number('meter rollup', `${meter}|${key}|${name}`, want, found);
    check('event_count', decimal(sums?.count ?? 0), String(row.event_count));
    check('total', sums?.total, row.total);
    check('least', sums?.least, row.least);
    check('greatest', sums?.greatest, row.greatest);
    check('latest', sums?.latest, row.latest);
    check('values', decimal(sums?.values.size ?? 0), String(row.values));
  }
  for (const key of expected.meters.keys()) if (!seen.has(key)) differences.add('meter rollup', key, 'a row', 'none');
  return seen.size;
}

const RUN_COLUMNS = ['requests', 'errors', 'retries', 'tool_calls', 'charge', 'provider_cost'] as const;

export async function compareRuns(
  client: Client,
  environmentId: number,
  expected: ExpectedState,
  differences: Differences,
): Promise<void> {
  const seen = new Set<string>();
  const statement = `select id, ${RUN_COLUMNS.map((name) => `${name}::text`).join(', ')} from run where environment_id = ${environmentId}`;
  for await (const row of pages<{ id: string } & Record<(typeof RUN_COLUMNS)[number], string>>(client, statement)) {
    for (const name of RUN_COLUMNS) {
      seen.add(`${row.id}|${name}`);
      differences.number('run', `${row.id}|${name}`, expected.runs.get(`${row.id}|${name}`), row[name]);
    }
  }
  for (const key of expected.runs.keys()) if (!seen.has(key)) differences.add('run', key, 'a row', 'none');
}
