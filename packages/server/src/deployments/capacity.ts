import {
  add,
  type Decimal,
  decimal,
  divide,
  isZero,
  multiply,
  scaled,
  subtract,
  sum,
  toText,
  ZERO,
} from '@ergon/exact';
import type { z } from '@hono/zod-openapi';
import { formatInstant, microsFromPostgres } from '../event/instant.ts';
import { refuse } from '../http/problem.ts';
import { LIMITS } from '../limits.ts';
import type { Queryable } from '../store/database.ts';
import { accountCapacity, splitCost, type Stretch } from './account-capacity.ts';
import type { capacityAnswer } from './capacity-schemas.ts';
import { allocatedSeconds, type BusySpan, busySpans, type Span } from './capacity-store.ts';
import { compiledRow, type DeploymentRow } from './deployment-store.ts';

/** A version with the time it was in force. */
type InForce = Span & { readonly row: DeploymentRow };

/** In force from the beginning: a first version that did not say since when. */
const BEGINNING = Date.parse('2000-01-01T00:00:00Z') * 1000;

/**
 * When each version's devices were there, oldest first. A first version that did not say since when its hours were bought
 * counts from its publication: nobody bought hours since the year 2000.
 */
export function versionsInForce(rows: readonly DeploymentRow[], now: number): InForce[] {
  const spans: InForce[] = [];
  let to = now;
  for (const row of rows) {
    const effectiveFrom = microsFromPostgres(row.effective_from);
    const from = effectiveFrom <= BEGINNING ? microsFromPostgres(row.created_at) : effectiveFrom;
    if (from < to) spans.unshift({ row, from, to });
    to = Math.min(to, from);
  }
  return spans;
}

/** Device-seconds bought in a span. */
export function boughtSeconds(versions: readonly InForce[], span: Span): Decimal {
  return sum(versions.map((version) => boughtOf(version, span)));
}

function boughtOf({ row, from, to }: InForce, span: Span): Decimal {
  const micros = Math.min(to, span.to) - Math.max(from, span.from);
  if (micros <= 0) return ZERO;
  return scaled(BigInt(compiledRow(row).spec.accelerator_count) * BigInt(micros), 6);
}

/** What became of the device-hours of a window. */
export async function capacityOf(
  db: Queryable,
  environmentId: number,
  key: string,
  versions: readonly InForce[],
  window: Span,
): Promise<z.infer<typeof capacityAnswer>> {
  const spans = (await busySpans(db, environmentId, key, window)).map((span) => clipped(span, window));
  if (spans.length > LIMITS.busySpansMax) {
    throw refuse('invalid_request', `more than ${LIMITS.busySpansMax} busy spans; ask for a shorter window`);
  }
  const demand = await allocatedSeconds(db, environmentId, key, window, spans);
  const measured = spans.map((span, index): Stretch => {
    const bought = boughtSeconds(versions, span);
    return { bought, demanded: demand.bySpan[index] ?? ZERO, busy: span.busy };
  });
  const rest: Stretch = {
    bought: subtract(boughtSeconds(versions, window), sum(measured.map((one) => one.bought))),
    demanded: subtract(demand.total, sum(measured.map((one) => one.demanded))),
    busy: undefined,
  };
  const capacity = accountCapacity([...measured, rest]);
  const cost = boughtCost(versions, window);
  return {
    deployment: key,
    from: formatInstant(window.from),
    to: formatInstant(window.to),
    bought: toText(capacity.bought),
    allocated: toText(capacity.allocated),
    overhead: toText(capacity.overhead),
    idle: toText(capacity.idle),
    measured: spans.length > 0,
    busy_measured: spans.length === 0 ? null : toText(sum(spans.map((span) => span.busy))),
    demanded: toText(capacity.demanded),
    excess: toText(capacity.excess),
    utilisation: isZero(capacity.bought)
      ? null
      : toText(divide(capacity.allocated, capacity.bought, { places: 6, mode: 'half-away-from-zero' })),
    cost: cost === undefined ? null : describeCost(cost, splitCost(cost, capacity)),
  };
}

/** The part of a span inside the window: its busy time is taken as even. */
function clipped(span: BusySpan, window: Span): BusySpan {
  const [from, to] = [Math.max(span.from, window.from), Math.min(span.to, window.to)];
  if (from === span.from && to === span.to) return span;
  const share = multiply(span.busy, decimal(BigInt(to - from)));
  const busy = divide(share, decimal(BigInt(span.to - span.from)), { places: 9, mode: 'half-away-from-zero' });
  return { from, to, busy };
}

const HOUR = decimal('3600');

/** USD for the bought time at the dated prices; `undefined` where a version that was in force has none. */
function boughtCost(versions: readonly InForce[], window: Span): Decimal | undefined {
  let cost = ZERO;
  for (const version of versions) {
    const bought = boughtOf(version, window);
    if (isZero(bought)) continue;
    const price = compiledRow(version.row).price?.perDeviceHour;
    if (price === undefined) return undefined;
    cost = add(cost, divide(multiply(bought, price), HOUR, { places: 12, mode: 'half-away-from-zero' }));
  }
  return cost;
}

function describeCost(bought: Decimal, parts: ReturnType<typeof splitCost>): z.infer<typeof capacityAnswer>['cost'] {
  return {
    currency: 'USD',
    bought: toText(bought),
    allocated: toText(parts.allocated),
    overhead: toText(parts.overhead),
    idle: toText(parts.idle),
  };
}
