import type { Query } from './client.ts';
import type { Page } from './wire.ts';

/** Makes one call; `api.ts` has it. */
export type Call = <T>(
  method: string,
  path: string,
  options: {
    readonly query?: Query;
    readonly json?: unknown;
    readonly headers?: Readonly<Record<string, string>>;
  },
) => Promise<T>;

export type TopUp = {
  readonly id: string;
  readonly wallet: string;
  readonly amount: string;
  readonly currency: string;
  readonly pay_amount: string;
  readonly pay_currency: string;
  readonly trigger: string;
  readonly status: string;
  readonly requested_at: string;
  readonly failure: string | null;
  readonly grant: string | null;
};

export type WalletAlert = {
  readonly kind: string;
  readonly level: string;
  readonly is_below: boolean;
  readonly crossings: number;
};

export type WebhookEndpoint = {
  readonly id: string;
  readonly url: string;
  readonly event_types: readonly string[];
  readonly enabled: boolean;
  readonly disabled_reason: string | null;
  readonly secret?: string;
};

export type Delivery = {
  readonly id: string;
  readonly endpoint: string;
  readonly type: string;
  readonly customer: string | null;
  readonly status: string;
  readonly attempts: number;
  readonly occurred_at: string;
  readonly last_error: string | null;
};

export type Policy = {
  readonly key: string;
  readonly version: number;
  readonly created_at: string;
  readonly document: { readonly mode: string; readonly ladder: readonly { readonly action: string }[] };
};

export type Decision = {
  readonly id: string;
  readonly at: string;
  readonly customer: string | null;
  readonly subject: string | null;
  readonly action: string;
  readonly matches: readonly { readonly policy: string; readonly mode: string; readonly action: string }[];
};

export type Replay = {
  readonly decisions: number;
  readonly same: number;
  readonly different: readonly {
    readonly decision: string;
    readonly at: string;
    readonly customer: string | null;
    readonly recorded: string;
    readonly replayed: string;
  }[];
};

/** A wallet by the customer and its name. */
export type WalletPlace = { readonly customer: string; readonly wallet: string };

/** Routes of what wallets do by themselves, of webhooks and of policies. */
export type WatchApi = {
  readonly listTopUps: (at: WalletPlace, query: Query) => Promise<Page<TopUp>>;
  readonly requestTopUp: (at: WalletPlace, body: unknown, idempotencyKey: string) => Promise<TopUp>;
  readonly answerTopUp: (at: WalletPlace, id: string, answer: 'paid' | 'failed', body: unknown) => Promise<TopUp>;
  readonly getAutoTopUp: (at: WalletPlace) => Promise<{ readonly auto_top_up: unknown }>;
  readonly putAutoTopUp: (at: WalletPlace, rule: unknown) => Promise<{ readonly auto_top_up: unknown }>;
  readonly deleteAutoTopUp: (at: WalletPlace) => Promise<void>;
  readonly getAlerts: (at: WalletPlace) => Promise<{ readonly data: readonly WalletAlert[] }>;
  readonly putAlerts: (at: WalletPlace, body: unknown) => Promise<{ readonly data: readonly WalletAlert[] }>;
  readonly listWebhooks: () => Promise<Page<WebhookEndpoint>>;
  readonly createWebhook: (body: unknown, idempotencyKey: string) => Promise<WebhookEndpoint>;
  readonly rotateWebhook: (id: string) => Promise<WebhookEndpoint>;
  readonly testWebhook: (id: string) => Promise<unknown>;
  readonly deleteWebhook: (id: string) => Promise<void>;
  readonly listDeliveries: (query: Query) => Promise<Page<Delivery>>;
  readonly replayDelivery: (id: string) => Promise<Delivery>;
  readonly listPolicies: () => Promise<Page<Policy>>;
  readonly putPolicy: (key: string, document: unknown) => Promise<Policy>;
  readonly endPolicy: (key: string) => Promise<void>;
  readonly listDecisions: (query: Query) => Promise<Page<Decision>>;
  readonly replayPolicy: (key: string, body: unknown) => Promise<Replay>;
};

export function watchApi(call: Call, remove: (path: string) => Promise<void>): WatchApi {
  const seg = encodeURIComponent;
  const wallet = (at: WalletPlace) => `/v1/customers/${seg(at.customer)}/wallets/${seg(at.wallet)}`;
  const once = (json: unknown, key: string) => ({ json, headers: { 'idempotency-key': key } });
  return {
    listTopUps: (at, query) => call('GET', `${wallet(at)}/top_ups`, { query }),
    requestTopUp: (at, body, key) => call('POST', `${wallet(at)}/top_ups`, once(body, key)),
    answerTopUp: (at, id, answer, json) => call('POST', `${wallet(at)}/top_ups/${seg(id)}/${answer}`, { json }),
    getAutoTopUp: (at) => call('GET', `${wallet(at)}/auto_top_up`, {}),
    putAutoTopUp: (at, json) => call('PUT', `${wallet(at)}/auto_top_up`, { json }),
    deleteAutoTopUp: (at) => remove(`${wallet(at)}/auto_top_up`),
    getAlerts: (at) => call('GET', `${wallet(at)}/alerts`, {}),
    putAlerts: (at, json) => call('PUT', `${wallet(at)}/alerts`, { json }),
    listWebhooks: () => call('GET', '/v1/webhook_endpoints', {}),
    createWebhook: (body, key) => call('POST', '/v1/webhook_endpoints', once(body, key)),
    rotateWebhook: (id) => call('POST', `/v1/webhook_endpoints/${seg(id)}/rotate`, { json: {} }),
    testWebhook: (id) => call('POST', `/v1/webhook_endpoints/${seg(id)}/test`, {}),
    deleteWebhook: (id) => remove(`/v1/webhook_endpoints/${seg(id)}`),
    listDeliveries: (query) => call('GET', '/v1/deliveries', { query }),
    replayDelivery: (id) => call('POST', `/v1/deliveries/${seg(id)}/replay`, {}),
    listPolicies: () => call('GET', '/v1/policies', {}),
    putPolicy: (key, json) => call('PUT', `/v1/policies/${seg(key)}`, { json }),
    endPolicy: (key) => remove(`/v1/policies/${seg(key)}`),
    listDecisions: (query) => call('GET', '/v1/decisions', { query }),
    replayPolicy: (key, json) => call('POST', `/v1/policies/${seg(key)}/replay`, { json }),
  };
}
