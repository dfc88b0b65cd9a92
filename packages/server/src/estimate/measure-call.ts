import { workOfTokens } from '@ergon/compute';
import { type Decimal, larger, smaller, toText, ZERO, isCreditUnit } from '@ergon/exact';
import type { Tokens } from '@ergon/usage';
import { findCustomer } from '../catalog/index.ts';
import { type BilledCustomer, customerById } from '../catalog/customers.ts';
import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import { captureEvent } from '../event/capture-event.ts';
import type { AppServices } from '../http/context.ts';
import { LIMITS } from '../limits.ts';
import { type PreparedEvent, prepareEvent } from '../record/prepare.ts';
import { type ChargePreview, previewCharges } from '../record/preview-charge.ts';
import type { Queryable } from '../store/database.ts';
import { type Bounds, each, estimateCompute, type EstimatedWork } from './estimate-compute.ts';
import { badMember, type EstimatePlace, estimatePlace } from './estimate-place.ts';
import type { EstimateBody } from './schemas.ts';

/** What a call will use and cost, as far as that can be known before it runs. */
export type EstimatedCall = {
  readonly where: EstimatePlace;
  readonly works: Bounds<{ readonly newTokens: number; readonly cachedTokens: number; readonly outputTokens: number }>;
  readonly computed: EstimatedWork | undefined;
  readonly charge: Bounds<Decimal> | undefined;
  readonly currency: string | undefined;
  /** In USD. */
  readonly providerCost: Bounds<Decimal> | undefined;
  readonly unrated: ChargePreview['unrated'];
  readonly customerId: number | null;
  readonly maxOutput: number;
};

/** By the code that will count, rate and cost the call once it has run. @throws a problem that names the member at fault. */
export async function measureCall(
  services: AppServices,
  catalog: CatalogSnapshot,
  body: EstimateBody,
  now: number,
): Promise<EstimatedCall> {
  const output = outputOf(body);
  const where = estimatePlace(body, catalog.deployments, now);
  const fixed = workOfTokens(sentClasses({ ...body.tokens, output: 0 }));
  const works = each(output, (tokens) => ({ ...fixed, outputTokens: fixed.outputTokens + tokens }));
  checkSize(works.high.newTokens + works.high.cachedTokens + works.high.outputTokens);
  const computed = where.place === undefined ? undefined : estimateCompute(where.place, works);
  const events = each(output, (tokens) => {
    const event = syntheticEvent(body, tokens, where, catalog, now);
    return { ...event, providerCost: services.record.costOf(event, catalog)?.amount };
  });
  const customer = await customerOf(services.database.pool, catalog.environmentId, body.customer);
  const list = [events.low, events.expected, events.high];
  const [low, expected, high] = (await previewCharges(services.database.pool, catalog, customer, list, now)) ?? [];
  const isPriced = low !== undefined && expected !== undefined && high !== undefined;
  return {
    ...{ where, works, computed },
    charge: isPriced ? ordered(each({ low, expected, high }, ({ amount }) => amount)) : undefined,
    currency: expected?.currency,
    providerCost: providerCost(services, catalog, events),
    unrated: expected?.unrated ?? [],
    customerId: customer?.id ?? null,
    maxOutput: output.high,
  };
}

/** More output may cost less: from a tier on, a volume price holds for all that came before, too. */
function ordered({ low, expected, high }: Bounds<Decimal>): Bounds<Decimal> {
  const least = smaller(smaller(low, expected), high);
  return { low: least, expected, high: larger(larger(low, expected), high) };
}

/** What a hold of the call asks at one end of every interval. */
export function amountsAt(
  end: 'low' | 'high',
  { works, computed, charge, providerCost, currency }: EstimatedCall,
): Readonly<
  Partial<
    Record<
      'charge' | 'credits' | 'provider_cost' | 'physical_cost' | 'flops' | 'accelerator_seconds' | 'compute_units',
      string
    >
  >
> & {
  readonly requests: string;
  readonly tokens: string;
} {
  const work = works[end];
  const seconds = computed?.answer.billable_accelerator_seconds?.[end];
  const units = computed?.answer.compute_units?.[end];
  const flops = computed?.answer.flops[end];
  const physicalCost = computed?.physicalCost;
  // A call that lowers the bill has nothing to hold.
  const held = charge === undefined ? undefined : toText(larger(charge[end], ZERO));
  return {
    requests: '1',
    tokens: String(work.newTokens + work.cachedTokens + work.outputTokens),
    ...(held !== undefined && { charge: held, ...(isCreditUnit(currency) && { credits: held }) }),
    ...(providerCost !== undefined && { provider_cost: toText(providerCost[end]) }),
    ...(physicalCost !== undefined && { physical_cost: toText(physicalCost[end]) }),
    ...(flops !== undefined && { flops }),
    ...(seconds !== undefined && { accelerator_seconds: seconds }),
    ...(units !== undefined && { compute_units: units }),
  };
}

/** Output tokens beyond those of classes that were counted: exactly what was sent, or at most the bound. */
function outputOf(body: EstimateBody): Bounds<number> {
  const { tokens, max_output_tokens: high, expected_output_tokens: expected } = body;
  if (tokens.output !== undefined) {
    if (high === undefined && expected === undefined) {
      return { low: tokens.output, expected: tokens.output, high: tokens.output };
    }
    const remedy = 'send tokens.output for a known output, or max_output_tokens for a bound';
    throw badMember('/max_output_tokens', 'the output is given twice', remedy);
  }
  if (high === undefined) {
    const remedy = 'send max_output_tokens, or tokens.output where it is known (0 for an embedding)';
    throw badMember('/max_output_tokens', 'nothing bounds the output', remedy);
  }
  if (expected !== undefined && expected > high) {
    throw badMember('/expected_output_tokens', 'more than max_output_tokens', 'expect at most the bound');
  }
  return { low: 1, expected: expected ?? high, high };
}

/** The classes that were sent: an absent one is not zero. */
function sentClasses(tokens: EstimateBody['tokens']): Tokens {
  return Object.fromEntries(Object.entries(tokens).filter(([, count]) => count !== undefined));
}

function checkSize(tokens: number): void {
  if (tokens <= LIMITS.requestTokensMax) return;
  const detail = `${tokens} tokens are more than the ${LIMITS.requestTokensMax} of one call`;
  throw badMember('/tokens', detail, 'estimate each call by itself');
}

/** The event that the call would send, so that what prices it is what will price it. */
function syntheticEvent(
  body: EstimateBody,
  outputTokens: number,
  where: EstimatePlace,
  catalog: CatalogSnapshot,
  now: number,
): PreparedEvent {
  const { customer, feature, user, team, agent, provider, properties } = body;
  const data = {
    ...{ feature, user, team, agent, provider, properties },
    model: body.model ?? where.place?.source.name,
    deployment: where.deployment,
    tokens: { ...body.tokens, output: outputTokens },
  };
  const present = Object.fromEntries(Object.entries(data).filter(([, value]) => value !== undefined));
  const captured = captureEvent(
    { id: 'estimate', source: 'ergon', type: 'llm.call', subject: customer, data: present },
    0,
    { environmentId: catalog.environmentId, receivedAt: now, oldest: 0 },
  );
  if (!captured.ok)
    throw badMember(captured.error.pointer ?? '', captured.error.detail, 'send what the event may hold');
  return prepareEvent(captured.event, { ...catalog, deployments: where.deployments });
}

function providerCost(
  services: AppServices,
  catalog: CatalogSnapshot,
  events: Bounds<PreparedEvent>,
): Bounds<Decimal> | undefined {
  const { low, expected, high } = each(events, (event) => services.record.costOf(event, catalog)?.amount);
  return low === undefined || expected === undefined || high === undefined ? undefined : { low, expected, high };
}

async function customerOf(
  db: Queryable,
  environmentId: number,
  externalId: string | undefined,
): Promise<BilledCustomer | undefined> {
  if (externalId === undefined) return undefined;
  const row = await findCustomer(db, environmentId, externalId);
  return row === undefined ? undefined : customerById(db, environmentId, Number(row.id));
}
