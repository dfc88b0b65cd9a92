export { type Api, createApi } from './api.ts';
export type { Catalog, CatalogApplied, CatalogDifference } from './catalog-api.ts';
export { createClient, type Query, UnreachableError } from './client.ts';
export { type Problem, ProblemError } from './problem.ts';
export type { Rerate, RerateCharge, UnratedEvent, UnratedGroup } from './rerate-api.ts';
export type {
  TopUp,
  WalletPlace,
  WebhookEndpoint,
} from './watch-api.ts';
export type * from './wallet-wire.ts';
export type * from './wire.ts';
export type * from './wire-subscriptions.ts';
export type * from './wire-simulation.ts';
