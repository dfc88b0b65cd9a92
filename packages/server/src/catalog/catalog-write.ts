import type { AppServices } from '../http/context.ts';
import type { Principal } from '../http/keys.ts';
import type { Client } from '../store/database.ts';
import { clockOf } from '../store/environment-clock.ts';
import { lockCatalog } from './revision.ts';

/** Who changes which catalog, in which transaction, and when. Every change of it has one function, which takes this. */
export type CatalogWrite = {
  /** Holds the catalog's lock. */
  readonly client: Client;
  readonly environmentId: number;
  /** Id of the key, for the audit log. */
  readonly actor: string;
  /** The environment's time, read under the lock. */
  readonly now: number;
};

/** Takes the catalog's lock for this transaction. */
export async function beginCatalogWrite(
  services: AppServices,
  request: { readonly client: Client; readonly environmentId: number; readonly principal: Principal },
): Promise<CatalogWrite> {
  const { client, environmentId, principal } = request;
  await lockCatalog(client, environmentId);
  const now = await clockOf(client, environmentId, services.now());
  return { client, environmentId, actor: principal.keyId, now };
}
