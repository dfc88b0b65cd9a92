import { type CapturedEvent, OWN_SOURCE, VOID_TYPE } from '../event/event.ts';
import { captureEvent, eventIdentity } from '../event/capture-event.ts';
import { type BillingMonth, billingMonth } from '../catalog/billing-month.ts';
import { type BilledCustomer, customerById } from '../catalog/customers.ts';
import { type CatalogSnapshot, cardVersion } from '../catalog/snapshot.ts';
import type { Client } from '../store/database.ts';
import { instantArray, uuidArray } from '../store/pg-arrays.ts';
import { isAdjusting } from './adjusting-event.ts';
import { prepareEvent } from './prepare.ts';
import { findStoredEvent, type StoredEvent } from './read-events.ts';
import type { Attributed } from './attributed.ts';
import { standingOf } from './standing.ts';
import type { IngestWarning } from './types.ts';

export type VoidRequest = { readonly event: CapturedEvent; readonly target: string };

export function voidRequest(environmentId: number, event: CapturedEvent): VoidRequest {
  return { event, target: eventIdentity(environmentId, String(event.data.source), String(event.data.id)) };
}

type Registered = { readonly isNew: boolean };

/** Notes which event is voided by which. A void is final: a second one of the same target changes nothing. */
export async function registerVoid(
  client: Client,
  environmentId: number,
  request: VoidRequest,
  now: number,
): Promise<Registered> {
  const { event, target } = request;
  const reason =
    typeof event.data.reason === 'string' ? event.data.reason.replaceAll('\0', '').toWellFormed().slice(0, 1000) : null;
  const result = await client.query({
    name: 'register_void',
    text: `insert into event_void (environment_id, target, target_source, target_id, void_source, void_id, reason, received_at)
      values ($1, $2::uuid, $3, $4, $5, $6, $7, ($8::timestamptz[])[1]) on conflict do nothing`,
    values: [
      environmentId,
      target,
      String(event.data.source),
      String(event.data.id),
      event.source,
      event.id,
      reason,
      instantArray([now]),
    ],
  });
  return { isNew: result.rowCount === 1 };
}

/**
 * The void as something to rate and sum up: its target's customer, card version and period, with the target itself. `undefined`
 * when the target has not come yet (the void waits), or is a void (which is final).
 */
export async function attributeVoid(
  client: Client,
  environmentId: number,
  catalog: CatalogSnapshot,
  request: VoidRequest,
  isFirst: boolean,
  warnings: IngestWarning[],
): Promise<Attributed> {
  const { event, target } = request;
  const prepared = prepareEvent(event, catalog);
  const stored = await findStoredEvent(client, environmentId, target);
  const warn = (code: string, detail: string): Attributed => {
    warnings.push({ index: event.index, code, detail });
    return { prepared, customer: undefined, version: undefined, month: billingMonth(event.occurredAt, 'UTC') };
  };
  if (!isFirst && !(await isWaiting(client, environmentId, target))) {
    return warn('already_voided', 'the event was voided before; nothing changed');
  }
  if (stored === undefined)
    return warn('void_waiting', 'no event has this source and id yet; the void applies when it comes');
  const isVoid = stored.event.type === VOID_TYPE;
  if (isVoid || isAdjusting(stored.event)) {
    await forgetVoidsOf(client, environmentId, [target]);
    return isVoid
      ? warn('not_voidable', 'a void is final; send the event again under a new id')
      : warn('not_voidable', 'an adjusting record is taken back with its event: void the event');
  }
  await client.query(
    'update event_void set applied_at = ($3::timestamptz[])[1] where environment_id = $1 and target = $2::uuid',
    [environmentId, target, instantArray([event.occurredAt])],
  );
  return reversalOf(client, environmentId, catalog, event, stored);
}

/** Voids of what cannot be voided wait for nothing: else every later request would look for their targets. */
export async function forgetVoidsOf(client: Client, environmentId: number, targets: readonly string[]): Promise<void> {
  await client.query(
    'delete from event_void where environment_id = $1 and target = any($2::uuid[]) and applied_at is null',
    [environmentId, uuidArray(targets)],
  );
}

async function isWaiting(client: Client, environmentId: number, target: string): Promise<boolean> {
  const result = await client.query(
    'select 1 from event_void where environment_id = $1 and target = $2::uuid and applied_at is null',
    [environmentId, target],
  );
  return result.rows.length > 0;
}

async function reversalOf(
  client: Client,
  environmentId: number,
  catalog: CatalogSnapshot,
  event: CapturedEvent,
  stored: StoredEvent,
): Promise<Attributed> {
  const { rating } = stored;
  const customer = rating.customer === null ? undefined : await customerById(client, environmentId, rating.customer);
  const standing = (await standingOf(client, environmentId, [stored])).get(stored.event.identity);
  const isOwnStanding = standing?.ratings.includes(stored) ?? true;
  return {
    prepared: prepareEvent(event, catalog),
    customer,
    version: cardVersion(catalog, rating.version),
    month: monthOf(stored, customer),
    reverses: {
      stored,
      prepared: prepareEvent(stored.event, catalog, rating),
      lines: isOwnStanding ? rating.lines : [],
      adjustments: standing?.ratings.filter((one) => one !== stored) ?? [],
      unrated: standing?.unrated ?? rating.unrated,
    },
  };
}

export function monthOf(stored: StoredEvent, customer: BilledCustomer | undefined): BillingMonth {
  const month = billingMonth(stored.event.occurredAt, customer?.timeZone ?? 'UTC');
  // The customer's zone may have changed since: the charge goes back to the period it was made in.
  return stored.rating.period === null ? month : { ...month, period: stored.rating.period };
}

/** Voids that waited for events which have just been recorded, as events of Ergon's own that carry them out. */
export async function waitingVoids(
  client: Client,
  environmentId: number,
  identities: readonly string[],
  now: number,
): Promise<VoidRequest[]> {
  const result = await client.query<{
    target: string;
    target_source: string;
    target_id: string;
    void_source: string;
    void_id: string;
  }>({
    name: 'waiting_voids',
    text: `select target, target_source, target_id, void_source, void_id from event_void
      where environment_id = $1 and applied_at is null and target = any($2::uuid[]) order by target for update`,
    values: [environmentId, uuidArray(identities)],
  });
  return result.rows.map((row) => {
    const body = {
      type: VOID_TYPE,
      source: OWN_SOURCE,
      id: `void:${row.target.replaceAll('-', '')}`,
      data: {
        source: row.target_source,
        id: row.target_id,
        requested_by: { source: row.void_source, id: row.void_id },
      },
    };
    const captured = captureEvent(body, 0, { environmentId, receivedAt: now, oldest: 0 });
    if (!captured.ok) throw new Error(`a waiting void cannot be carried out: ${captured.error.detail}`);
    return { event: captured.event, target: row.target.replaceAll('-', '') };
  });
}
