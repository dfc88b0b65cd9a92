import { decimal, negate, toText } from '@ergon/exact';
import { ByteWriter } from '../event/byte-writer.ts';
import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import type { Contribution } from '../catalog/custom-meter.ts';
import type { Client } from '../store/database.ts';
import { instantArray, int8Array, textArray, uuidArray } from '../store/pg-arrays.ts';
import { changeBalances, writeAccumulators, writePostings } from './account-store.ts';
import { allSettledOrThrow } from './all-settled.ts';
import { packLines } from './blocks.ts';
import type { DimensionSet } from './dimension-sets.ts';
import { type RatingParts, writeRating } from './encode-rating.ts';
import { countBlock } from './count-block.ts';

import { newPostings } from './postings.ts';
import type { PreparedEvent } from './prepare.ts';
import { orderKey, type RatedEvent } from './rate-group.ts';
import { NOBODY } from './read-events.ts';
import { rateBlock } from './rate-block.ts';
import { RollupSums } from './rollups.ts';
import { RunSums } from './runs.ts';
import { type UnratedOwner, UnratedSums } from './unrated.ts';
import type { Adjustment, Attributed, Reversal } from './attributed.ts';
import type { AfterCommit, RecordServices } from './record-services.ts';
import { valueHash } from './value-hash.ts';

/** Where one block is written: the open transaction and what belongs to it. */
export type BlockContext = {
  readonly client: Client;
  readonly services: RecordServices;
  readonly environmentId: number;
  readonly blockId: bigint;
  readonly catalog: CatalogSnapshot;
  /** When it is posted, microseconds since 1970. */
  readonly now: number;
  readonly afterCommit: AfterCommit;
  /** Whether grants that are used up are locked from the start. False: who turns out to need them begins anew. */
  readonly withSpent?: boolean;
};

type Span = { from: number; to: number };

/** Everything after attribution: rate, debit, sum up, append. The statements leave in one pipeline. */
export async function writeBlock(
  context: BlockContext,
  events: readonly (Attributed | null)[],
): Promise<readonly (RatedEvent | null)[]> {
  const { client, environmentId, blockId } = context;
  // Compressed beside the database's work: no lock is held for it.
  const packing = packLines(joinLines(events.map((one) => one?.prepared.event.canonical)));
  packing.catch(() => undefined); // Heard below; until then a failure must not count as unheard.
  const { rows, rated, holds } = await rateBlock(context, events);
  await countBlock(context, events, rated, holds);
  const sums = new BlockSums(context);
  events.forEach((one, index) => {
    if (index > 0) sums.ratings.ascii('\n');
    if (one !== null) sums.add(one, rated[index] ?? null);
  });
  const ratings = packLines(sums.ratings.take());
  const { postings, balances } = await newPostings(client, context.services, environmentId, blockId, context.now, rows);
  const changed = rows.map(({ row }) => row).filter((row) => row.work.size > 0);
  const writes: Promise<unknown>[] = [];
  if (changed.length > 0) writes.push(writeAccumulators(client, environmentId, changed));
  writes.push(changeBalances(client, environmentId, balances), writePostings(client, environmentId, postings));
  writes.push(...sums.write());
  writes.push(
    Promise.all([packing, ratings]).then(([raw, rated]) => insertBlock(context, sums.span, sums.count, raw, rated)),
  );
  await allSettledOrThrow(writes);
  return rated;
}

type Summed = Pick<RatingParts, 'quantities' | 'cost'>;

const NOT_RATED: RatedEvent = { lines: new Uint8Array(0), unrated: [], charge: 0n };
const LINE_BREAK = Buffer.from('\n');

function joinLines(lines: readonly (Buffer | undefined)[]): Buffer {
  const pieces: Buffer[] = [];
  lines.forEach((line, index) => {
    if (index > 0) pieces.push(LINE_BREAK);
    if (line !== undefined) pieces.push(line);
  });
  return Buffer.concat(pieces);
}

/** What the events of one block add to the tables that are read: rollups, runs, dimension sets, customers' blocks. */
class BlockSums {
  readonly span: Span = { from: Number.POSITIVE_INFINITY, to: Number.NEGATIVE_INFINITY };
  count = 0;
  /** One line an event. */
  readonly ratings = new ByteWriter(256 * 1024);
  readonly #context: BlockContext;
  readonly #rollups = new RollupSums();
  readonly #runs = new RunSums();
  readonly #unrated = new UnratedSums();
  readonly #dimensionSets = new Map<string, string>();
  readonly #customers = new Map<number, Span>();

  constructor(context: BlockContext) {
    this.#context = context;
  }

  /** Adds one event and writes its rating. */
  add(one: Attributed, result: RatedEvent | null): void {
    const rated = result ?? NOT_RATED;
    const { prepared, customer, version, month } = one;
    const customerId = customer?.id ?? NOBODY;
    const isRated = rated.lines.length > 0;
    const currency = isRated ? version?.card.currency : undefined;
    const sums =
      one.adjusts !== undefined
        ? this.#adjust(one, one.adjusts, rated, currency)
        : one.reverses === undefined
          ? this.#addUsage(one, rated, currency)
          : this.#takeBack(one, one.reverses, rated);
    this.#cover(customerId, prepared.event.occurredAt);
    writeRating(this.ratings, {
      customer: customer?.id ?? null,
      filledTime: prepared.event.isTimeFilled ? prepared.event.occurredAt : null,
      quantities: sums.quantities,
      contributions: prepared.contributions.map(contributionText),
      quality: prepared.usage?.quality ?? null,
      model: prepared.model,
      version: isRated ? (version?.id ?? null) : null,
      period: isRated ? month.period : null,
      currency: currency ?? null,
      lines: rated.lines,
      cost: sums.cost,
      unrated: rated.unrated,
      flags: prepared.flags,
      work: one.reverses?.stored.rating.work ?? prepared.work,
    });
  }

  #addUsage(one: Attributed, rated: RatedEvent, currency: string | undefined): Summed {
    const { prepared } = one;
    const { services } = this.#context;
    const customerId = one.customer?.id ?? NOBODY;
    const cost = services.costOf(prepared, this.#context.catalog);
    const isRated = rated.lines.length > 0;
    if (prepared.quantities.length > 0 || isRated) {
      const set = services.dimensionSets.usage(prepared.dimensions, currency);
      this.#use(set);
      const money = { charge: isRated ? rated.charge : null, providerCost: cost?.amount ?? null };
      this.#rollups.addUsage(prepared, customerId, set.id, money);
    }
    this.#addContributions(prepared, customerId);
    this.#runs.add(prepared, customerId, rated.charge, currency, cost?.amount ?? null);
    if (rated.unrated.length > 0) this.#unrated.add(ownerOf(prepared, customerId), rated.unrated);
    return { quantities: prepared.quantities, cost };
  }

  /** Takes a recorded event out of the sums it went into, by the figures recorded then. */
  #takeBack(one: Attributed, { stored, prepared, lines, unrated }: Reversal, rated: RatedEvent): Summed {
    const { services } = this.#context;
    const customerId = one.customer?.id ?? NOBODY;
    const { currency, cost: recordedCost } = stored.rating;
    const cost = recordedCost === null ? null : decimal(recordedCost[0]);
    const charge = lines.length > 0 ? rated.charge : null;
    if (prepared.quantities.length > 0 || charge !== null) {
      const set = services.dimensionSets.usage(prepared.dimensions, currency ?? undefined);
      this.#use(set);
      this.#rollups.addUsage(prepared, customerId, set.id, { charge, providerCost: cost }, -1);
    }
    this.#runs.add(prepared, customerId, rated.charge, currency ?? undefined, cost, -1);
    this.#unrated.add(ownerOf(prepared, customerId), unrated, -1);
    return {
      quantities: prepared.quantities.map(({ meter, quantity }) => ({ meter, quantity: negate(quantity) })),
      cost: cost === null || recordedCost === null ? undefined : { amount: negate(cost), source: recordedCost[1] },
    };
  }

  /** Only money moves: the usage was counted when the event came. */
  #adjust(one: Attributed, adjustment: Adjustment, rated: RatedEvent, currency: string | undefined): Summed {
    const { services } = this.#context;
    const customerId = one.customer?.id ?? NOBODY;
    const prepared = { ...adjustment.prepared, quantities: [] };
    if (rated.lines.length > 0) {
      const set = services.dimensionSets.usage(prepared.dimensions, currency);
      this.#use(set);
      this.#rollups.addUsage(prepared, customerId, set.id, { charge: rated.charge, providerCost: null });
    }
    this.#runs.add(prepared, customerId, rated.charge, currency, null);
    const owner = ownerOf(prepared, customerId);
    this.#unrated.add(owner, adjustment.unratedBefore, -1);
    this.#unrated.add(owner, rated.unrated);
    return { quantities: [], cost: undefined };
  }

  write(): Promise<unknown>[] {
    const { client, environmentId } = this.#context;
    const writes: Promise<unknown>[] = [];
    if (this.#dimensionSets.size > 0) writes.push(this.#writeDimensionSets());
    writes.push(...this.#rollups.write(client, environmentId));
    if (!this.#unrated.isEmpty) writes.push(...this.#unrated.write(client, environmentId));
    if (!this.#runs.isEmpty) writes.push(this.#runs.write(client, environmentId));
    writes.push(this.#writeCustomerBlocks());
    return writes;
  }

  #addContributions(prepared: PreparedEvent, customerId: number): void {
    for (const contribution of prepared.contributions) {
      const group = this.#context.services.dimensionSets.group(contribution.group);
      this.#use(group);
      const value = contribution.distinct === undefined ? undefined : valueHash(contribution.distinct);
      const { occurredAt } = prepared.event;
      this.#rollups.addContribution(contribution, customerId, occurredAt, orderKey(prepared), group.id, value);
    }
  }

  #use(set: DimensionSet): void {
    const { services, environmentId } = this.#context;
    if (!services.dimensionSets.isStored(environmentId, set.id)) this.#dimensionSets.set(set.id, set.json);
  }

  #cover(customerId: number, occurredAt: number): void {
    this.count += 1;
    this.span.from = Math.min(this.span.from, occurredAt);
    this.span.to = Math.max(this.span.to, occurredAt);
    const span = this.#customers.get(customerId);
    if (span === undefined) this.#customers.set(customerId, { from: occurredAt, to: occurredAt });
    else {
      span.from = Math.min(span.from, occurredAt);
      span.to = Math.max(span.to, occurredAt);
    }
  }

  #writeDimensionSets(): Promise<unknown> {
    const { client, environmentId, services, afterCommit } = this.#context;
    const rows = [...this.#dimensionSets].sort(([a], [b]) => (a < b ? -1 : 1));
    afterCommit.push(() => services.dimensionSets.markStored(environmentId, this.#dimensionSets.keys()));
    return client.query({
      name: 'dimension_sets',
      text: `insert into dimension_set (environment_id, id, dimensions)
        select $1, i, d::jsonb from unnest($2::uuid[], $3::text[]) as s(i, d) order by i on conflict do nothing`,
      values: [environmentId, uuidArray(rows.map(([id]) => id)), textArray(rows.map(([, json]) => json))],
    });
  }

  #writeCustomerBlocks(): Promise<unknown> {
    const { client, environmentId, blockId } = this.#context;
    const rows = [...this.#customers].sort(([a], [b]) => a - b);
    return client.query({
      name: 'customer_block',
      text: `insert into customer_block (environment_id, customer_id, block_id, time_from, time_to)
        select $1, c, $2::int8, f, t from unnest($3::int8[], $4::timestamptz[], $5::timestamptz[]) as s(c, f, t) order by c`,
      values: [
        environmentId,
        blockId.toString(),
        int8Array(rows.map(([id]) => id)),
        instantArray(rows.map(([, span]) => span.from)),
        instantArray(rows.map(([, span]) => span.to)),
      ],
    });
  }
}

function insertBlock(context: BlockContext, span: Span, count: number, raw: Buffer, ratings: Buffer): Promise<unknown> {
  return context.client.query({
    name: 'event_block',
    text: `insert into event_block (environment_id, id, received_at, time_from, time_to, event_count, events, ratings)
      values ($1, $2, ($3::timestamptz[])[1], ($3::timestamptz[])[2], ($3::timestamptz[])[3], $4, $5, $6)`,
    values: [
      context.environmentId,
      context.blockId.toString(),
      instantArray([context.now, span.from, span.to]),
      count,
      raw,
      ratings,
    ],
  });
}

function ownerOf({ dimensions, event }: PreparedEvent, customerId: number): UnratedOwner {
  return { customerId, model: dimensions.model, occurredAt: event.occurredAt };
}

function contributionText({ meter, value, distinct }: Contribution): readonly [string, string] {
  return [meter.key, value === undefined ? (distinct === undefined ? '1' : distinct.slice(0, 256)) : toText(value)];
}
