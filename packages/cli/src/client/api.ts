import type { Client, Query } from './client.ts';
import { RETRY_IMPORT, RETRY_INTERACTIVE } from './retry.ts';
import type {
  AuditReport,
  Budget,
  CreatedKey,
  Customer,
  Deployment,
  Estimate,
  EventExplanation,
  EventSummary,
  Hold,
  IngestReport,
  Key,
  Meter,
  ModelAlias,
  Page,
  PriceDisagreement,
  PriceLookup,
  PriceOverride,
  PriceTableReport,
  QualityFinding,
  RateCard,
  ReportedModel,
  Run,
  SourceComparison,
  UsageReport,
} from './wire.ts';
import { type SimulateCall, simulateCall } from './simulate-call.ts';
import type { Grant, LedgerEntry, Wallet } from './wallet-wire.ts';
import type { Entitlement, Plan, Subscription, SubscriptionLine, SubscriptionPeriod } from './wire-subscriptions.ts';
import { type RerateApi, rerateApi } from './rerate-api.ts';
import { type CatalogApi, catalogApi } from './catalog-api.ts';
import { type WatchApi, watchApi } from './watch-api.ts';

/** One page of events as it goes over the wire. */
export type IngestBody = { readonly bytes: Uint8Array<ArrayBuffer>; readonly encoding?: string };

/** The routes the command line uses, by name. Shapes: `wire.ts`. */
export type Api = RerateApi &
  CatalogApi &
  WatchApi & {
    readonly ingest: (body: IngestBody) => Promise<IngestReport>;
    readonly lookupEvent: (source: string, id: string) => Promise<EventExplanation>;
    readonly listEvents: (query: Query) => Promise<Page<EventSummary>>;
    readonly usage: (query: Query) => Promise<UsageReport>;
    readonly listMeters: () => Promise<Page<Meter>>;
    readonly listCustomers: (query: Query) => Promise<Page<Customer>>;
    readonly listDataQuality: (customer: string, query: Query) => Promise<Page<QualityFinding>>;
    readonly compareSources: (customer: string, query: Query) => Promise<SourceComparison>;
    readonly lookUpPrice: (query: Query) => Promise<PriceLookup>;
    readonly getPriceTable: () => Promise<PriceTableReport>;
    readonly listPriceDisagreements: (query: Query) => Promise<Page<PriceDisagreement>>;
    readonly listPriceOverrides: (query: Query) => Promise<Page<PriceOverride>>;
    readonly putPriceOverride: (key: string, price: unknown) => Promise<PriceOverride>;
    readonly deletePriceOverride: (key: string) => Promise<void>;
    readonly listReportedModels: (query: Query) => Promise<Page<ReportedModel>>;
    readonly putModelAlias: (reported: string, model: string) => Promise<ModelAlias>;
    readonly deleteModelAlias: (reported: string) => Promise<void>;
    readonly listWallets: (customer: string) => Promise<Page<Wallet>>;
    readonly getWallet: (customer: string, wallet: string) => Promise<Wallet>;
    readonly createGrant: (customer: string, wallet: string, grant: unknown, idempotencyKey: string) => Promise<Grant>;
    readonly listEntries: (customer: string, wallet: string, query: Query) => Promise<Page<LedgerEntry>>;
    readonly listBudgets: (query: Query) => Promise<Page<Budget>>;
    readonly getBudget: (key: string) => Promise<Budget>;
    readonly putBudget: (budget: unknown) => Promise<Budget>;
    readonly endBudget: (key: string) => Promise<void>;
    readonly createHold: (hold: unknown) => Promise<Hold>;
    readonly getHold: (id: string) => Promise<Hold>;
    readonly settleHold: (id: string, settlement: unknown) => Promise<Hold>;
    readonly releaseHold: (id: string) => Promise<Hold>;
    readonly getRun: (id: string) => Promise<Run>;
    readonly listRateCards: () => Promise<Page<RateCard>>;
    readonly getRateCard: (key: string) => Promise<RateCard>;
    readonly putRateCard: (key: string, card: unknown) => Promise<RateCard>;
    readonly simulate: SimulateCall;
    readonly listPlans: (query: Query) => Promise<Page<Plan>>;
    readonly getPlan: (key: string) => Promise<Plan>;
    readonly putPlan: (key: string, plan: unknown) => Promise<Plan>;
    readonly listSubscriptions: (query: Query) => Promise<Page<Subscription>>;
    readonly getSubscription: (key: string) => Promise<Subscription>;
    readonly subscribe: (subscription: unknown) => Promise<Subscription>;
    readonly changeSubscription: (key: string, change: unknown) => Promise<Subscription>;
    readonly cancelSubscription: (key: string, cancel: unknown) => Promise<Subscription>;
    readonly listPeriods: (key: string, query: Query) => Promise<Page<SubscriptionPeriod>>;
    readonly listLines: (key: string, period: string) => Promise<Page<SubscriptionLine>>;
    readonly getEntitlement: (customer: string, feature: string) => Promise<Entitlement>;
    readonly listKeys: () => Promise<Page<Key>>;
    readonly createKey: (key: unknown) => Promise<CreatedKey>;
    readonly rotateKey: (id: string) => Promise<CreatedKey>;
    readonly revokeKey: (id: string) => Promise<void>;
    readonly estimate: (call: unknown) => Promise<Estimate>;
    readonly getDeployment: (key: string) => Promise<Deployment>;
    readonly addObservations: (
      key: string,
      observations: readonly unknown[],
      idempotencyKey: string,
    ) => Promise<unknown>;
    readonly audit: () => Promise<AuditReport>;
  };

/** The largest page: lists that are short enough to be shown whole. */
const WHOLE_LIST: CallOptions = { query: { limit: 1_000 } };

export function createApi(client: Client): Api {
  const call = caller(client);
  const seg = encodeURIComponent;
  const walletPath = (customer: string, wallet: string) => `/v1/customers/${seg(customer)}/wallets/${seg(wallet)}`;
  return {
    ...rerateApi(call),
    ...watchApi(call, async (path) => {
      await client.request('DELETE', path, { retry: RETRY_INTERACTIVE });
    }),
    ...catalogApi(call, client.baseUrl),
    ingest: async (body) => ingest(client, body),
    lookupEvent: (source, id) => call('GET', '/v1/events/lookup', { query: { source, id } }),
    listEvents: (query) => call('GET', '/v1/events', { query }),
    usage: (query) => call('GET', '/v1/usage', { query }),
    listMeters: () => call('GET', '/v1/meters', {}),
    listCustomers: (query) => call('GET', '/v1/customers', { query }),
    listDataQuality: (customer, query) => call('GET', `/v1/customers/${seg(customer)}/data_quality`, { query }),
    compareSources: (customer, query) => call('GET', `/v1/customers/${seg(customer)}/data_quality/sources`, { query }),
    ...modelCalls(client, call),
    listWallets: (customer) => call('GET', `/v1/customers/${seg(customer)}/wallets`, {}),
    getWallet: (customer, wallet) => call('GET', walletPath(customer, wallet), {}),
    createGrant: (customer, wallet, grant, idempotencyKey) =>
      call('POST', `${walletPath(customer, wallet)}/grants`, {
        json: grant,
        headers: { 'idempotency-key': idempotencyKey },
      }),
    listEntries: (customer, wallet, query) => call('GET', `${walletPath(customer, wallet)}/entries`, { query }),
    listBudgets: (query) => call('GET', '/v1/budgets', { query }),
    getBudget: (key) => call('GET', `/v1/budgets/${seg(key)}`, {}),
    putBudget: (budget) => call('POST', '/v1/budgets', { json: budget }),
    endBudget: async (key) => {
      await client.request('DELETE', `/v1/budgets/${seg(key)}`, { retry: RETRY_INTERACTIVE });
    },
    createHold: (hold) => call('POST', '/v1/holds', { json: hold }),
    getHold: (id) => call('GET', `/v1/holds/${seg(id)}`, {}),
    settleHold: (id, settlement) => call('POST', `/v1/holds/${seg(id)}/settle`, { json: settlement }),
    releaseHold: (id) => call('POST', `/v1/holds/${seg(id)}/release`, {}),
    getRun: (id) => call('GET', `/v1/runs/${seg(id)}`, {}),
    listRateCards: () => call('GET', '/v1/rate_cards', WHOLE_LIST),
    getRateCard: (key) => call('GET', `/v1/rate_cards/${seg(key)}`, {}),
    putRateCard: (key, card) => call('PUT', `/v1/rate_cards/${seg(key)}`, { json: card }),
    simulate: simulateCall(client),
    ...subscriptionCalls(call),
    listKeys: () => call('GET', '/v1/keys', WHOLE_LIST),
    createKey: (key) => call('POST', '/v1/keys', { json: key }),
    rotateKey: (id) => call('POST', `/v1/keys/${seg(id)}/rotate`, { json: {} }),
    revokeKey: async (id) => {
      await client.request('DELETE', `/v1/keys/${seg(id)}`, { retry: RETRY_INTERACTIVE });
    },
    estimate: (body) => call('POST', '/v1/estimate', { json: body }),
    getDeployment: (key) => call('GET', `/v1/deployments/${seg(key)}`, {}),
    addObservations: (key, observations, idempotencyKey) =>
      call('POST', `/v1/deployments/${seg(key)}/observations`, {
        json: { observations },
        headers: { 'idempotency-key': idempotencyKey },
      }),
    audit: () => call('POST', '/v1/audit', { json: {}, timeoutMs: 3_600_000 }),
  };
}

type CallOptions = {
  readonly query?: Query;
  readonly json?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
};

type SubscriptionCalls = Pick<
  Api,
  | 'listPlans'
  | 'getPlan'
  | 'putPlan'
  | 'listSubscriptions'
  | 'getSubscription'
  | 'subscribe'
  | 'changeSubscription'
  | 'cancelSubscription'
  | 'listPeriods'
  | 'listLines'
  | 'getEntitlement'
>;

type ModelCalls = Pick<
  Api,
  | 'lookUpPrice'
  | 'getPriceTable'
  | 'listPriceDisagreements'
  | 'listPriceOverrides'
  | 'putPriceOverride'
  | 'deletePriceOverride'
  | 'listReportedModels'
  | 'putModelAlias'
  | 'deleteModelAlias'
>;

/** Provider prices, and what models' names stand for. */
function modelCalls(client: Client, call: ReturnType<typeof caller>): ModelCalls {
  const seg = encodeURIComponent;
  return {
    lookUpPrice: (query) => call('GET', '/v1/provider_prices', { query }),
    getPriceTable: () => call('GET', '/v1/provider_price_table', {}),
    listPriceDisagreements: (query) => call('GET', '/v1/provider_price_table/disagreements', { query }),
    listPriceOverrides: (query) => call('GET', '/v1/provider_price_overrides', { query }),
    putPriceOverride: (key, price) => call('PUT', `/v1/provider_price_overrides/${seg(key)}`, { json: price }),
    deletePriceOverride: async (key) => {
      await client.request('DELETE', `/v1/provider_price_overrides/${seg(key)}`, { retry: RETRY_INTERACTIVE });
    },
    listReportedModels: (query) => call('GET', '/v1/reported_models', { query }),
    putModelAlias: (reported, model) => call('PUT', `/v1/model_aliases/${seg(reported)}`, { json: { model } }),
    deleteModelAlias: async (reported) => {
      await client.request('DELETE', `/v1/model_aliases/${seg(reported)}`, { retry: RETRY_INTERACTIVE });
    },
  };
}

function subscriptionCalls(call: ReturnType<typeof caller>): SubscriptionCalls {
  const seg = encodeURIComponent;
  const path = (key: string) => `/v1/subscriptions/${seg(key)}`;
  return {
    listPlans: (query) => call('GET', '/v1/plans', { query }),
    getPlan: (key) => call('GET', `/v1/plans/${seg(key)}`, {}),
    putPlan: (key, plan) => call('PUT', `/v1/plans/${seg(key)}`, { json: plan }),
    listSubscriptions: (query) => call('GET', '/v1/subscriptions', { query }),
    getSubscription: (key) => call('GET', path(key), {}),
    subscribe: (subscription) => call('POST', '/v1/subscriptions', { json: subscription }),
    changeSubscription: (key, change) => call('POST', `${path(key)}/change`, { json: change }),
    cancelSubscription: (key, cancel) => call('POST', `${path(key)}/cancel`, { json: cancel }),
    listPeriods: (key, query) => call('GET', `${path(key)}/periods`, { query }),
    listLines: (key, period) => call('GET', `${path(key)}/periods/${seg(period)}/lines`, WHOLE_LIST),
    getEntitlement: (customer, feature) =>
      call('GET', `/v1/customers/${seg(customer)}/entitlements/${seg(feature)}`, {}),
  };
}

function caller(client: Client) {
  return async <T>(method: string, path: string, options: CallOptions): Promise<T> => {
    const { json, ...rest } = options;
    const text = await client.request(method, path, {
      ...rest,
      ...(json !== undefined && { body: { contentType: 'application/json', bytes: JSON.stringify(json) } }),
      retry: RETRY_INTERACTIVE,
    });
    // The server's OpenAPI document is the contract of these shapes; this is the one place that takes its word.
    return JSON.parse(text) as T;
  };
}

async function ingest(client: Client, body: IngestBody): Promise<IngestReport> {
  const text = await client.request('POST', '/v1/events', {
    body: { contentType: 'application/x-ndjson', ...body },
    retry: RETRY_IMPORT,
    isFinishedOnInterrupt: true,
  });
  const report: IngestReport = JSON.parse(text);
  // What an import counts and reports is exactly these figures, so here the server's word is checked.
  for (const count of [report.accepted, report.duplicates, report.conflicts, report.rejected]) {
    if (!Number.isSafeInteger(count) || count < 0) {
      throw new Error(`${client.baseUrl} answered something that is not an ingest report: ${text.slice(0, 200)}`);
    }
  }
  return report;
}
