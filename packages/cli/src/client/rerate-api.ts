import type { Query } from './client.ts';
import type { Call } from './watch-api.ts';
import type { EventSummary, Page } from './wire.ts';

/** Unrated usage of one customer, meter, reason and model. */
export type UnratedGroup = {
  readonly customer: string | null;
  readonly meter: string;
  readonly reason: string;
  readonly model: string | null;
  readonly events: string;
  readonly quantity: string;
  readonly first_at: string;
  readonly last_at: string;
};

export type UnratedEvent = Pick<EventSummary, 'event' | 'received_at' | 'customer'> & {
  readonly unrated: readonly { readonly meter: string; readonly quantity: string; readonly reason: string }[];
};

type RerateAmounts = {
  readonly currency: string;
  readonly old: string;
  readonly new: string;
  readonly difference: string;
};

export type RerateCharge = RerateAmounts & { readonly customer: string; readonly events: string };

export type Rerate = {
  readonly id: string;
  readonly status: 'running' | 'finished' | 'failed';
  readonly customer: string | null;
  readonly only: 'unrated' | 'all';
  readonly dry_run: boolean;
  readonly automatic: boolean;
  readonly requested_at: string;
  readonly failure: string | null;
  readonly events_examined: string;
  readonly events_adjusted: string;
  readonly totals: readonly RerateAmounts[];
};

/** Routes of usage without a price, and of re-rating. */
export type RerateApi = {
  readonly rerate: (request: unknown) => Promise<Rerate>;
  readonly getRerate: (id: string) => Promise<Rerate>;
  readonly listRerates: (query: Query) => Promise<Page<Rerate>>;
  readonly listRerateCustomers: (id: string) => Promise<Page<RerateCharge>>;
  readonly listUnrated: (query: Query) => Promise<Page<UnratedGroup>>;
  readonly listUnratedEvents: (query: Query) => Promise<Page<UnratedEvent>>;
};

export function rerateApi(call: Call): RerateApi {
  const seg = encodeURIComponent;
  return {
    rerate: (json) => call('POST', '/v1/rerate', { json }),
    getRerate: (id) => call('GET', `/v1/rerates/${seg(id)}`, {}),
    listRerates: (query) => call('GET', '/v1/rerates', { query }),
    listRerateCustomers: (id) => call('GET', `/v1/rerates/${seg(id)}/customers`, { query: { limit: 1_000 } }),
    listUnrated: (query) => call('GET', '/v1/unrated', { query }),
    listUnratedEvents: (query) => call('GET', '/v1/unrated/events', { query }),
  };
}
