import { staleTerms } from '../billing/index.ts';
import { prepareEvent } from '../record/prepare.ts';
import { DimensionSets } from '../record/dimension-sets.ts';
import { NOBODY } from '../record/read-events.ts';
import type { Client, Database } from '../store/database.ts';
import { type AuditCatalog, loadAuditCatalog } from './audit-catalog.ts';
import { type AuditedEvent, auditedEvent } from './audited-event.ts';
import { checkDimensionSets } from './check-dimension-sets.ts';
import { checkIdentities, checkIdentityCounts } from './check-identities.ts';
import { checkLedger } from './check-ledger.ts';
import { compareAccumulators, comparePostings } from './compare-charges.ts';
import { compareMeters, compareRuns, compareUsage } from './compare-rollups.ts';
import { type Difference, Differences } from './differences.ts';
import { emptyExpected, type Expected } from './expected.ts';
import { foldCharges } from './fold-charges.ts';
import { foldRun } from './fold-runs.ts';
import { compareUnrated, foldUnrated } from './fold-unrated.ts';
import { foldContributions, foldUsage } from './fold-usage.ts';
import { hasCustomer, hasRun, type Partition, partitions, ROWS_PER_PASS } from './partition.ts';
import { type Counts, readBlocks } from './read-blocks.ts';
import { AdjustmentResolver } from './resolve-adjustments.ts';
import { VoidResolver } from './resolve-voids.ts';

export type AuditReport = {
  readonly events: number;
  readonly blocks: number;
  /** Running totals compared. */
  readonly accumulators: number;
  readonly postings: number;
  /** Rows of usage, of custom meters and of runs compared. */
  readonly rollups: number;
  /** The first {@link DIFFERENCES_LISTED_MAX}. */
  readonly differences: readonly Difference[];
  readonly difference_count: number;
  readonly duration_ms: number;
};

export type AuditOptions = {
  /** Heard after every slice of events; `pass` of `passes` reads all of them once more. */
  readonly onProgress?: (progress: { events: number; pass: number; passes: number }) => void;
  /** Rows recomputed in one pass: memory against time. */
  readonly rowsPerPass?: number;
};

/**
 * Recomputes what the environment's tables should hold from its raw events and their ratings, and reports every difference.
 * It reads one snapshot of the database and takes no lock that a writer waits for.
 */
export async function auditEnvironment(
  database: Database,
  environmentId: number,
  options: AuditOptions = {},
): Promise<AuditReport> {
  const client = await database.pool.connect();
  const startedAt = performance.now();
  let isEnded = false;
  try {
    await client.query('begin isolation level repeatable read read only');
    // A large environment takes longer than any request of a user may.
    await client.query(`set local statement_timeout = 0`);
    await client.query('set local idle_in_transaction_session_timeout = 0');
    const report = await auditSnapshot(client, environmentId, options);
    await client.query('commit');
    isEnded = true;
    return { ...report, duration_ms: Math.round(performance.now() - startedAt) };
  } finally {
    // What is left of a failed audit goes with its connection: there is nothing to keep of a read-only transaction.
    client.release(!isEnded);
  }
}

async function auditSnapshot(
  client: Client,
  environmentId: number,
  options: AuditOptions,
): Promise<Omit<AuditReport, 'duration_ms'>> {
  const differences = new Differences();
  const counts: Counts = { events: 0, blocks: 0 };
  let [accumulators, rollups] = [0, 0];
  const catalog = await loadAuditCatalog(client, environmentId);
  const parts = await partitions(client, environmentId, options.rowsPerPass ?? ROWS_PER_PASS);
  for (const part of parts) {
    const pass = new Pass(client, environmentId, catalog, part, differences);
    await pass.fold(counts, (events) => options.onProgress?.({ events, pass: part.index + 1, passes: parts.length }));
    const compared = await pass.compare();
    accumulators += compared.accumulators;
    rollups += compared.rollups;
  }
  await checkIdentityCounts(client, environmentId, differences);
  await checkDimensionSets(client, environmentId, differences);
  await checkLedger(client, environmentId, differences);
  for (const customer of await staleTerms(client, environmentId))
    differences.add('subscription', `customer ${customer}`, 'terms as its subscriptions and overrides say', 'others');
  const postings = await countOf(client, 'posting', environmentId);
  const { listed, total } = differences;
  return { ...counts, accumulators, postings, rollups, differences: listed, difference_count: total };
}

async function countOf(
  client: Client,
  what: 'posting' | 'event_void' | 'event_adjustment',
  environmentId: number,
  where = 'true',
): Promise<number> {
  const result = await client.query<{ count: bigint }>(
    `select count(*) as count from ${what} where environment_id = $1 and ${where}`,
    [environmentId],
  );
  return Number(result.rows[0]?.count ?? 0n);
}

/** One reading of all blocks, for one part of the customers and runs. */
class Pass {
  readonly #client: Client;
  readonly #environmentId: number;
  readonly #catalog: AuditCatalog;
  readonly #part: Partition;
  readonly #differences: Differences;
  readonly #expected: Expected = emptyExpected();
  readonly #sets = new DimensionSets();

  constructor(client: Client, environmentId: number, catalog: AuditCatalog, part: Partition, differences: Differences) {
    this.#client = client;
    this.#environmentId = environmentId;
    this.#catalog = catalog;
    this.#part = part;
    this.#differences = differences;
  }

  async fold(counts: Counts, onSlice: (events: number) => void): Promise<void> {
    const isFirst = this.#part.index === 0;
    const voids = await countOf(this.#client, 'event_void', this.#environmentId, 'applied_at is not null');
    const resolver = new VoidResolver(
      this.#client,
      this.#environmentId,
      isFirst ? this.#differences : undefined,
      voids > 0,
    );
    const adjustments = await countOf(this.#client, 'event_adjustment', this.#environmentId);
    const adjusting = new AdjustmentResolver(
      this.#client,
      this.#environmentId,
      isFirst ? this.#differences : undefined,
      adjustments > 0,
    );
    let seen = 0;
    for await (const slice of readBlocks(this.#client, this.#environmentId, this.#part, this.#differences, counts)) {
      if (isFirst) await checkIdentities(this.#client, slice, this.#differences);
      const adjusted = await adjusting.resolve(slice, resolver.targetsOf(slice));
      for (const one of await resolver.resolve(slice, adjusted.takenBack)) this.#tryToAdd(auditedEvent(one, adjusted));
      seen += slice.length;
      onSlice(seen);
    }
    if (isFirst && resolver.carriedOut !== voids)
      this.#differences.add('void', 'all', `${voids} voids carried out`, `${resolver.carriedOut}`);
    if (isFirst && adjusting.seen !== adjustments)
      this.#differences.add('adjustment', 'all', `${adjustments} adjusting records`, `${adjusting.seen}`);
  }

  /** What stands beside an event may be anything once it was damaged: what cannot be folded is a difference, and no failure. */
  #tryToAdd(one: AuditedEvent): void {
    try {
      this.#add(one);
    } catch (error) {
      const { source, id } = one.event;
      this.#differences.add(
        'event',
        `${source}/${id}`,
        'a rating of its own',
        error instanceof Error ? error.message : '',
      );
    }
  }

  #add(one: AuditedEvent): void {
    const origin = one.target ?? one.adjusted ?? one;
    const runId = origin.event.data.run_id;
    if (typeof runId === 'string' && hasRun(this.#part, runId)) foldRun(this.#expected, one, runId);
    if (!hasCustomer(this.#part, one.rating.customer ?? NOBODY)) return;
    // An adjusting record rates the usage that was recorded, by the model that its name stood for then.
    const { model } = one.adjusted === undefined ? origin.rating : one.rating;
    const counted = prepareEvent(origin.event, this.#catalog.snapshot, { ...origin.rating, model });
    foldUsage(this.#expected, one, counted, this.#sets);
    foldContributions(this.#expected, one, counted, this.#catalog, this.#sets);
    foldCharges(this.#expected, one, counted, this.#catalog, this.#differences);
    foldUnrated(this.#expected, one, counted);
  }

  async compare(): Promise<{ accumulators: number; rollups: number }> {
    const where = [this.#client, this.#environmentId, this.#part, this.#expected] as const;
    const accumulators = await compareAccumulators(...where, this.#differences);
    await comparePostings(...where, this.#differences);
    const rollups =
      (await compareUsage(...where, this.#differences)) +
      (await compareMeters(...where, this.#catalog, this.#differences)) +
      (await compareUnrated(...where, this.#differences)) +
      (await compareRuns(...where, this.#differences));
    return { accumulators, rollups };
  }
}
