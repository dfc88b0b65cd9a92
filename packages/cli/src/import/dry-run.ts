import { add, decimal, toText } from '@ergon/exact';
import { normaliseUsage, TOKEN_CLASSES, type TokenClass } from '@ergon/usage';
import type { ImportItem } from './item.ts';
import type { ListPrices } from './list-prices.ts';

/** What an import would send. */
export type DryRun = {
  readonly records: number;
  readonly events: number;
  readonly unreadable: number;
  readonly from: string | undefined;
  readonly to: string | undefined;
  /** Events per customer, type and model; the first {@link NAMES_MAX} names of each. */
  readonly customers: Readonly<Record<string, number>>;
  readonly types: Readonly<Record<string, number>>;
  readonly models: Readonly<Record<string, number>>;
  /** Whole tokens per class, as text. */
  readonly tokens: Readonly<Partial<Record<TokenClass, string>>>;
  /** What the providers charge for it at list prices, in USD. */
  readonly cost: ListCost;
  /** The first event, as it would be sent: one line of JSON. */
  readonly first: string | undefined;
};

export type ListCost = {
  readonly amount: string;
  /** The price table and its version. */
  readonly source: string;
  /** Calls of models that the table does not have, by model: they are not in the amount. */
  readonly unpriced: Readonly<Record<string, number>>;
};

const NAMES_MAX = 50;

/** Reads everything and sends nothing. */
export async function dryRun(
  items: AsyncIterable<ImportItem>,
  prices: ListPrices,
  onProblem: (place: string, detail: string) => void,
): Promise<DryRun> {
  const tokens = new Map<TokenClass, bigint>();
  const names = {
    customers: new Map<string, number>(),
    types: new Map<string, number>(),
    models: new Map<string, number>(),
    unpriced: new Map<string, number>(),
  };
  let amount = decimal(0);
  const range: { from?: string; to?: string } = {};
  let [events, unreadable] = [0, 0];
  let first: string | undefined;
  for await (const item of items) {
    if (item.kind === 'problem') {
      unreadable += 1;
      onProblem(item.place, item.detail);
      continue;
    }
    const event: Event = JSON.parse(item.line);
    first ??= item.line;
    events += 1;
    const { data } = event;
    countName(names.customers, event.subject ?? '(none)');
    countName(names.types, event.type ?? '(none)');
    if (data?.model !== undefined) countName(names.models, data.model);
    if (event.time !== undefined) {
      if (range.from === undefined || event.time < range.from) range.from = event.time;
      if (range.to === undefined || event.time > range.to) range.to = event.time;
    }
    if (data?.usage === undefined && data?.tokens === undefined) continue;
    const record = normaliseUsage(data);
    const cost = prices.cost(record, event.time);
    if (cost === undefined) countName(names.unpriced, data.model ?? '(none)');
    else amount = add(amount, cost);
    for (const name of TOKEN_CLASSES) {
      const count = record.tokens[name];
      if (count !== undefined) tokens.set(name, (tokens.get(name) ?? 0n) + BigInt(count));
    }
  }
  return {
    records: events + unreadable,
    events,
    unreadable,
    from: range.from,
    to: range.to,
    customers: Object.fromEntries(names.customers),
    types: Object.fromEntries(names.types),
    models: Object.fromEntries(names.models),
    tokens: Object.fromEntries([...tokens].map(([name, count]) => [name, String(count)])),
    cost: { amount: toText(amount), source: prices.source, unpriced: Object.fromEntries(names.unpriced) },
    first,
  };
}

type Event = {
  readonly subject?: string;
  readonly type?: string;
  readonly time?: string;
  readonly data?: {
    readonly provider?: string;
    readonly api?: string;
    readonly model?: string;
    readonly usage?: unknown;
    readonly tokens?: unknown;
  };
};

function countName(names: Map<string, number>, name: string): void {
  const count = names.get(name);
  if (count !== undefined) names.set(name, count + 1);
  else if (names.size < NAMES_MAX) names.set(name, 1);
}
