import type { Decimal } from '@ergon/exact';
import type { UsageRecord } from '@ergon/usage';

/** The providers' list prices, without a server. */
export type ListPrices = {
  /** The table and its version. */
  readonly source: string;
  /** USD; `undefined` where the table has no price. Without a time: at today's price. */
  readonly cost: (record: UsageRecord, occurredAt: string | undefined) => Decimal | undefined;
};

/** Loads the price table that the server uses; only commands that show a cost without a server pay for it. */
export async function listPrices(nowMs: number): Promise<ListPrices> {
  const { loadProviderPrices } = await import('@ergon/server');
  const prices = await loadProviderPrices();
  return {
    source: `${prices.source.library} ${prices.source.version}`,
    cost: (record, occurredAt) => prices.cost(record, microsOf(occurredAt, nowMs))?.amount,
  };
}

function microsOf(occurredAt: string | undefined, nowMs: number): number {
  const at = occurredAt === undefined ? Number.NaN : Date.parse(occurredAt);
  return (Number.isNaN(at) ? nowMs : at) * 1_000;
}
