import { add, decimal, toText, ZERO } from '@ergon/exact';
import { z } from '@hono/zod-openapi';
import { eventIdentity } from '../event/capture-event.ts';
import { formatInstant } from '../event/instant.ts';
import { decimalOutput, instantOutput } from '../http/wire.ts';
import type { EventRating } from '../record/types.ts';
import type { Queryable } from '../store/database.ts';
import { int8Array, uuidArray } from '../store/pg-arrays.ts';
import type { ListedEvent } from './list-events.ts';
import { storedJson } from './stored-text.ts';

export const eventBody = z.unknown().openapi({
  type: 'object',
  description: 'The event as sent, in canonical form',
});
export const flagsOutput = z.array(z.strictObject({ code: z.string(), detail: z.string() }));
export const costOutput = z
  .strictObject({ amount: decimalOutput, currency: z.literal('USD'), source: z.string() })
  .nullable()
  .openapi({ description: "The provider's price; null where it is unknown" });

export const eventAnswer = z
  .strictObject({
    event: eventBody,
    received_at: instantOutput,
    customer: z.string().nullable(),
    quantities: z.array(z.strictObject({ meter: z.string(), quantity: decimalOutput })),
    amount: decimalOutput.nullable().openapi({ description: 'Charged for the event; null where nothing was rated' }),
    currency: z.string().nullable(),
    provider_cost: costOutput,
    flags: flagsOutput,
    voided: z.boolean(),
  })
  .openapi('Event');

/** Listed events as they are answered. */
export async function describeEvents(
  db: Queryable,
  environmentId: number,
  events: readonly ListedEvent[],
): Promise<z.infer<typeof eventAnswer>[]> {
  if (events.length === 0) return [];
  const identities = events.map(({ source, id }) => eventIdentity(environmentId, source, id));
  const [names, voided] = await Promise.all([
    customerNames(
      db,
      environmentId,
      events.flatMap(({ rating }) => rating.customer ?? []),
    ),
    voidedOf(db, environmentId, identities),
  ]);
  return events.map(({ text, rating, receivedAt }, index) => ({
    event: storedJson(text),
    received_at: formatInstant(receivedAt),
    customer: (rating.customer === null ? undefined : names.get(rating.customer)) ?? null,
    quantities: rating.quantities.map(([meter, quantity]) => ({ meter, quantity })),
    amount: chargeOf(rating),
    currency: rating.currency,
    provider_cost: costOf(rating),
    flags: [...rating.flags],
    voided: voided.has(identities[index] ?? ''),
  }));
}

/** Sum of the lines; null where there are none. */
function chargeOf({ lines }: EventRating): string | null {
  if (lines.length === 0) return null;
  return toText(lines.reduce((sum, line) => add(sum, decimal(line.amount)), ZERO));
}

export function costOf({ cost }: EventRating): z.infer<typeof costOutput> {
  return cost === null ? null : { amount: cost[0], currency: 'USD', source: cost[1] };
}

/** External ids by number. */
export async function customerNames(
  db: Queryable,
  environmentId: number,
  ids: readonly number[],
): Promise<ReadonlyMap<number, string>> {
  if (ids.length === 0) return new Map();
  const result = await db.query<{ id: bigint; external_id: string }>(
    'select id, external_id from customer where environment_id = $1 and id = any($2::int8[])',
    [environmentId, int8Array([...new Set(ids)])],
  );
  return new Map(result.rows.map((row) => [Number(row.id), row.external_id]));
}

export async function voidedOf(
  db: Queryable,
  environmentId: number,
  identities: readonly string[],
): Promise<ReadonlySet<string>> {
  const result = await db.query<{ target: string }>(
    `select target from event_void
     where environment_id = $1 and target = any($2::uuid[]) and applied_at is not null`,
    [environmentId, uuidArray(identities)],
  );
  return new Set(result.rows.map((row) => row.target.replaceAll('-', '')));
}
