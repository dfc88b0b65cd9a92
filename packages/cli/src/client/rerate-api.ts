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

/** Routes of usage without a price. */
export type RerateApi = {
  readonly listUnrated: (query: Query) => Promise<Page<UnratedGroup>>;
  readonly listUnratedEvents: (query: Query) => Promise<Page<UnratedEvent>>;
};

export function rerateApi(call: Call): RerateApi {
  return {
    listUnrated: (query) => call('GET', '/v1/unrated', { query }),
    listUnratedEvents: (query) => call('GET', '/v1/unrated/events', { query }),
  };
}
