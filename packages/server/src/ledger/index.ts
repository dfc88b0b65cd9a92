import type { AppServices } from '../http/context.ts';
import type { App } from '../http/operation.ts';
import { registerGrantRoutes } from './grant-routes.ts';
import { registerWalletRoutes } from './wallet-routes.ts';

export { expireGrants } from './expire-grants.ts';
export { createGrant } from './grant-service.ts';
export { postSubscriptionAmounts } from './subscription-posting.ts';

/** Wallets, grants and ledger entries. */
export function registerLedgerRoutes(app: App, services: AppServices): void {
  registerWalletRoutes(app, services);
  registerGrantRoutes(app, services);
}
