import { formatInstant } from '../event/instant.ts';
import type { Queryable } from '../store/database.ts';

export type EndpointRow = {
  id: string;
  url: string;
  description: string | null;
  event_types: string[];
  previous_secret_until: string | null;
  disabled_at: string | null;
  disabled_reason: string | null;
  created_at: string;
};

const COLUMNS = 'id, url, description, event_types, previous_secret_until, disabled_at, disabled_reason, created_at';

export type EndpointSpec = {
  readonly url: string;
  readonly description: string | null;
  readonly eventTypes: readonly string[];
};

export async function insertEndpoint(
  db: Queryable,
  environmentId: number,
  endpoint: EndpointSpec & { readonly id: string; readonly secret: Buffer },
  now: number,
): Promise<EndpointRow> {
  const { id, url, description, eventTypes, secret } = endpoint;
  const result = await db.query<EndpointRow>(
    `insert into webhook_endpoint (environment_id, id, url, description, event_types, secret, created_at)
     values ($1, $2, $3, $4, $5, $6, $7) returning ${COLUMNS}`,
    [environmentId, id, url, description, [...eventTypes], secret, formatInstant(now)],
  );
  const row = result.rows[0];
  if (row === undefined) throw new Error('the endpoint was not inserted');
  return row;
}

/** Oldest first; there are few. */
export async function listEndpoints(db: Queryable, environmentId: number): Promise<EndpointRow[]> {
  const result = await db.query<EndpointRow>(
    `select ${COLUMNS} from webhook_endpoint where environment_id = $1 order by created_at, id`,
    [environmentId],
  );
  return result.rows;
}

export async function findEndpoint(db: Queryable, environmentId: number, id: string): Promise<EndpointRow | undefined> {
  const result = await db.query<EndpointRow>(
    `select ${COLUMNS} from webhook_endpoint where environment_id = $1 and id = $2`,
    [environmentId, id],
  );
  return result.rows[0];
}

/** @returns the endpoint as it is now, `undefined` where there is none. */
export async function updateEndpoint(
  db: Queryable,
  environmentId: number,
  id: string,
  spec: EndpointSpec & { readonly isEnabled: boolean },
  now: number,
): Promise<EndpointRow | undefined> {
  const result = await db.query<EndpointRow>(
    `update webhook_endpoint set url = $3, description = $4, event_types = $5,
       disabled_at = case when $6 then null else coalesce(disabled_at, $7) end,
       disabled_reason = case when $6 then null else coalesce(disabled_reason, 'by request') end
     where environment_id = $1 and id = $2 returning ${COLUMNS}`,
    [environmentId, id, spec.url, spec.description, [...spec.eventTypes], spec.isEnabled, formatInstant(now)],
  );
  return result.rows[0];
}

/** A new secret; the one it replaces signs too until `until`. */
export async function replaceSecret(
  db: Queryable,
  environmentId: number,
  id: string,
  secret: Buffer,
  until: number,
): Promise<EndpointRow | undefined> {
  const result = await db.query<EndpointRow>(
    `update webhook_endpoint set previous_secret = secret, previous_secret_until = $4, secret = $3
     where environment_id = $1 and id = $2 returning ${COLUMNS}`,
    [environmentId, id, secret, formatInstant(until)],
  );
  return result.rows[0];
}

export async function deleteEndpoint(db: Queryable, environmentId: number, id: string): Promise<boolean> {
  const result = await db.query('delete from webhook_endpoint where environment_id = $1 and id = $2', [
    environmentId,
    id,
  ]);
  return result.rowCount === 1;
}
