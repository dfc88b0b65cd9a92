import { compare, type Decimal, decimal, parseDecimal, toText } from '@ergon/exact';
import { LOCAL_TIME_DIMENSION, PROMPT_TOKENS_DIMENSION, promptTokens } from '@ergon/rating';
import { normaliseUsage, type Quality, type ResolvedModel, type UsageFlag, type UsageRecord } from '@ergon/usage';
import { type CapturedEvent, VOID_TYPE } from '../event/event.ts';
import { ROLLUP_POSITION, TOKEN_METERS } from '../catalog/built-in-meters.ts';
import { type Contribution, quantityOf, scalarText } from '../catalog/custom-meter.ts';
import { LIMITS } from '../limits.ts';
import { type EventWork, eventWork } from './event-work.ts';
import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import type { EventRating, RecordedModel } from './types.ts';

/** A quantity of a built-in meter, priced on its own. */
export type BuiltInQuantity = {
  readonly meter: string;
  /** Position in a rollup row. */
  readonly position: number;
  readonly quantity: Decimal;
  readonly tokenClass?: string;
};

/** An event with everything that can be known of it before the transaction: usage, quantities, dimensions. */
export type PreparedEvent = {
  readonly event: CapturedEvent;
  readonly usage: UsageRecord | undefined;
  /** What the reported model stands for; undefined where that is not known. */
  readonly model: RecordedModel | undefined;
  readonly quantities: readonly BuiltInQuantity[];
  readonly contributions: readonly Contribution[];
  /** Dimensions that prices match on; the properties of the event are among them. */
  readonly dimensions: Record<string, string | undefined>;
  readonly flags: readonly UsageFlag[];
  /** How its work was counted, or why it was not; absent where nothing is known of the model. */
  readonly work: EventWork | undefined;
  /** In USD, where it is known and a card may ask for it: the quantity of the meter provider_cost. */
  readonly providerCost?: Decimal | undefined;
};

/** The built-in quantities as they were recorded: what a later build would count is not what was counted. */
function recordedQuantities(recorded: Pick<EventRating, 'quantities'>): BuiltInQuantity[] {
  return recorded.quantities.flatMap(([meter, quantity]) => {
    const position = meter === 'total_tokens' ? -1 : ROLLUP_POSITION.get(meter);
    if (position === undefined) return [];
    const tokenClass = TOKEN_CLASS_OF.get(meter);
    return [{ meter, position, quantity: decimal(quantity), ...(tokenClass !== undefined && { tokenClass }) }];
  });
}

const TOKEN_CLASS_OF: ReadonlyMap<string, string> = new Map(TOKEN_METERS.map((meter) => [meter.key, meter.tokenClass]));

const NO_CONTRIBUTIONS: readonly Contribution[] = [];

const TOKEN_POSITIONS = TOKEN_METERS.map((meter) => ({
  tokenClass: meter.tokenClass,
  meter: meter.key,
  position: ROLLUP_POSITION.get(meter.key) ?? -1,
}));

/**
 * Meters one event. Pure: the same event and catalog give the same quantities, for ever.
 *
 * @param recorded of an event recorded before: what was counted, what its model stood for and what its work was counted by,
 *   whatever the catalog or a later build says since.
 */
export function prepareEvent(
  event: CapturedEvent,
  catalog: CatalogSnapshot,
  recorded?: Pick<EventRating, 'quantities' | 'model' | 'work' | 'cost'>,
): PreparedEvent {
  const flags: UsageFlag[] = [];
  const quantities: BuiltInQuantity[] = [];
  const usage = hasUsage(event) ? usageOf(event) : undefined;
  const reported = usage?.model ?? text(event.data.model);
  const model = recorded === undefined ? resolved(reported, catalog) : (recorded.model ?? undefined);
  if (usage !== undefined) flags.push(...usage.flags);
  switch (event.type) {
    case 'llm.call':
    case 'embedding.call':
      addCall(event, usage, quantities, flags);
      break;
    case 'retrieval.query':
      add(quantities, 'retrievals', whole(event, 'count', flags) ?? 1n);
      add(quantities, 'documents', whole(event, 'documents', flags));
      break;
    case 'agent.action':
      add(quantities, 'agent_actions', whole(event, 'count', flags) ?? 1n);
      if (event.data.kind === 'tool_call') add(quantities, 'tool_calls', whole(event, 'count', flags) ?? 1n);
      break;
    case 'api.call':
      add(quantities, 'api_calls', whole(event, 'count', flags) ?? 1n);
      break;
    case 'compute.run':
      addDecimal(event, quantities, 'flops', 'flops', flags);
      break;
  }
  if (REPORTS_SECONDS.has(event.type)) {
    addDecimal(event, quantities, 'accelerator_seconds_reported', 'accelerator_seconds', flags);
  }
  const work =
    recorded === undefined ? eventWork(event, { usage, model, quantities }, catalog.deployments) : recorded.work;
  return {
    event,
    usage,
    model,
    quantities: recorded === undefined ? quantities : recordedQuantities(recorded),
    contributions: contributionsOf(event, catalog, flags),
    dimensions: dimensionsOf(event, usage, reported, model, work),
    flags,
    work,
    providerCost: recorded === undefined || recorded.cost === null ? undefined : decimal(recorded.cost[0]),
  };
}

/** The dimensions of a recorded event as {@link prepareEvent} gives them, for whoever needs nothing else of it. */
export function recordedDimensions(
  event: Pick<CapturedEvent, 'type' | 'status' | 'data'>,
  recorded: Pick<EventRating, 'model' | 'work'>,
): Record<string, string | undefined> {
  const usage = hasUsage(event) ? usageOf(event) : undefined;
  const reported = usage?.model ?? text(event.data.model);
  return dimensionsOf(event, usage, reported, recorded.model ?? undefined, recorded.work);
}

/** Calls that may have been timed on their device; a tool's compute counts beside its call. */
const REPORTS_SECONDS: ReadonlySet<string> = new Set(['llm.call', 'embedding.call', 'compute.run', 'agent.action']);

export function hasUsage(event: Pick<CapturedEvent, 'type' | 'data'>): boolean {
  return (
    event.type === 'llm.call' ||
    event.type === 'embedding.call' ||
    event.data.usage !== undefined ||
    event.data.tokens !== undefined
  );
}

function usageOf(event: Pick<CapturedEvent, 'data'>): UsageRecord {
  const { data } = event;
  const quality = statedQuality(data.quality);
  const usage = normaliseUsage({
    provider: text(data.provider),
    api: text(data.api),
    model: text(data.model),
    usage: data.usage,
    tokens: data.tokens,
    units: data.units,
    quality,
    serviceTier: text(data.service_tier),
    speed: text(data.speed),
    region: text(data.region),
    cacheTtl: data.cache_ttl === '5m' || data.cache_ttl === '1h' ? data.cache_ttl : undefined,
  });
  if (data.prompt_summed === true && usage.isPromptSummed !== true) return summed(usage, quality);
  // A sender who knows that a log holds less than what was used lowers the mark; nobody raises it.
  return quality !== undefined && usage.quality === 'reported' ? { ...usage, quality } : usage;
}

/** The sender says that the figures sum several prompts: no context tier may be decided on them. */
function summed(usage: UsageRecord, quality: Quality | undefined): UsageRecord {
  const lowered = quality !== undefined && usage.quality === 'reported' ? quality : usage.quality;
  return { ...usage, quality: lowered, isPromptSummed: true };
}

function statedQuality(value: unknown): Quality | undefined {
  return QUALITIES.find((quality) => quality === value);
}

const QUALITIES: readonly Quality[] = ['partial', 'estimated', 'lower_bound', 'upper_bound', 'none'];

function addCall(
  event: CapturedEvent,
  usage: UsageRecord | undefined,
  quantities: BuiltInQuantity[],
  flags: UsageFlag[],
): void {
  add(quantities, 'requests', 1n);
  if (event.status !== 'ok') add(quantities, 'errors', 1n);
  if (event.attempt > 1) add(quantities, 'retries', 1n);
  if (usage === undefined) return;
  let total = 0;
  for (const { tokenClass, meter, position } of TOKEN_POSITIONS) {
    const count = usage.tokens[tokenClass];
    if (count === undefined) continue;
    if (count > LIMITS.quantityMax) {
      flags.push({ code: 'quantity_too_large', detail: `${count} ${tokenClass} tokens in one call are not metered` });
      continue;
    }
    total += count;
    if (count > 0) quantities.push({ meter, position, quantity: decimal(count), tokenClass });
  }
  if (total > 0) quantities.push({ meter: 'total_tokens', position: -1, quantity: decimal(total) });
  addUnit(usage, quantities, 'web_searches', flags);
  add(quantities, 'tool_calls', whole(event, 'tool_calls', flags));
  addUnit(usage, quantities, 'pages', flags);
}

/** Units are decimal text; a part of a page is a quantity, a part of a search is none. */
function addUnit(
  usage: UsageRecord,
  quantities: BuiltInQuantity[],
  meter: 'web_searches' | 'pages',
  flags: UsageFlag[],
): void {
  const sent = usage.units[meter];
  const quantity = sent === undefined ? undefined : parseDecimal(sent);
  if (quantity === undefined) return;
  if (compare(quantity, QUANTITY_MAX) > 0) {
    flags.push({ code: 'quantity_too_large', detail: `${toText(quantity)} ${meter} in one call are not metered` });
  } else if (meter === 'pages') {
    quantities.push({ meter, position: ROLLUP_POSITION.get(meter) ?? -1, quantity });
  } else if (/^\d+$/.test(toText(quantity))) {
    add(quantities, meter, BigInt(toText(quantity)));
  } else {
    flags.push({ code: 'invalid_quantity', detail: `${toText(quantity)} ${meter} are no whole number` });
  }
}

const QUANTITY_MAX = decimal(LIMITS.quantityMax);

function add(quantities: BuiltInQuantity[], meter: string, quantity: bigint | undefined): void {
  if (quantity === undefined || quantity === 0n) return;
  quantities.push({ meter, position: ROLLUP_POSITION.get(meter) ?? -1, quantity: decimal(quantity) });
}

function addDecimal(
  event: CapturedEvent,
  quantities: BuiltInQuantity[],
  meter: string,
  field: string,
  flags: UsageFlag[],
): void {
  const raw = event.data[field];
  if (raw === undefined || raw === null) return;
  const quantity = quantityOf(raw);
  if (quantity === undefined || quantity.coefficient < 0n) {
    flags.push({ code: 'invalid_quantity', detail: `${field} is not a quantity of at least zero` });
    return;
  }
  if (quantity.coefficient === 0n) return;
  quantities.push({ meter, position: ROLLUP_POSITION.get(meter) ?? -1, quantity });
}

function whole(event: CapturedEvent, field: string, flags: UsageFlag[]): bigint | undefined {
  const raw = event.data[field];
  if (raw === undefined || raw === null) return undefined;
  if (typeof raw === 'number' && raw >= 0 && Number.isInteger(raw)) {
    if (raw <= LIMITS.quantityMax) return BigInt(raw);
    flags.push({ code: 'quantity_too_large', detail: `a ${field} of ${raw} in one event is not metered` });
    return 0n;
  }
  // An array of tool calls counts its elements: that is how vendors' answers list them.
  if (Array.isArray(raw)) return BigInt(raw.length);
  flags.push({ code: 'invalid_quantity', detail: `${field} is not a whole number of at least zero` });
  return undefined;
}

function contributionsOf(event: CapturedEvent, catalog: CatalogSnapshot, flags: UsageFlag[]): readonly Contribution[] {
  if (catalog.meters.length === 0) return NO_CONTRIBUTIONS;
  // A void takes back what another event gave and gives nothing of its own, whatever types a meter names.
  if (event.type === VOID_TYPE) return NO_CONTRIBUTIONS;
  let contributions: Contribution[] | undefined;
  for (const meter of catalog.meters) {
    const contribution = meter.read(event);
    if (contribution === undefined) continue;
    if (contribution === 'no_value') {
      flags.push({ code: 'meter_value_missing', detail: `the event has no usable value for the meter ${meter.key}` });
      continue;
    }
    contributions ??= [];
    contributions.push(contribution);
  }
  return contributions ?? NO_CONTRIBUTIONS;
}

/** A name that nobody knows stays as it was reported. */
function resolved(reported: string | undefined, { resolveModel }: CatalogSnapshot): RecordedModel | undefined {
  if (reported === undefined) return undefined;
  const model = resolveModel(reported);
  return isKnown(model) ? model : undefined;
}

function isKnown(model: ResolvedModel): model is ResolvedModel & RecordedModel {
  return model.canonical !== undefined;
}

/** Dimensions that Ergon fills by itself, whatever an event's properties are called. */
const OWN_NAMES: ReadonlySet<string> = new Set(['token_class', 'context_length']);

function dimensionsOf(
  event: Pick<CapturedEvent, 'type' | 'status' | 'data'>,
  usage: UsageRecord | undefined,
  reported: string | undefined,
  model: RecordedModel | undefined,
  work: EventWork | undefined,
): Record<string, string | undefined> {
  const { data } = event;
  const note = work !== undefined && 'basis' in work ? work : undefined;
  const dimensions: Record<string, string | undefined> = {
    type: event.type,
    status: event.status,
    provider: usage?.provider ?? text(data.provider),
    model: reported,
    canonical_model: model?.canonical,
    model_family: model?.family,
    api: usage?.api ?? text(data.api),
    feature: text(data.feature),
    user: text(data.user),
    team: text(data.team),
    agent: text(data.agent),
    deployment: note?.deployment ?? text(data.deployment),
    accelerator: note?.accelerator ?? text(data.accelerator),
    kind: text(data.kind),
    service_tier: usage?.serviceTier,
    region: usage?.region,
    context_length: note?.context,
    token_class: undefined,
    [PROMPT_TOKENS_DIMENSION]: usage === undefined ? undefined : String(promptTokens(usage.tokens)),
    [LOCAL_TIME_DIMENSION]: undefined,
  };
  const { properties } = data;
  if (typeof properties === 'object' && properties !== null && !Array.isArray(properties)) {
    for (const [name, value] of Object.entries(properties)) {
      const scalar = scalarText(value);
      if (scalar === undefined || scalar.length > 256 || dimensions[name] !== undefined || OWN_NAMES.has(name))
        continue;
      dimensions[name] = scalar;
    }
    dimensions.service_tier ??= dimensions.tier;
  }
  return dimensions;
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
