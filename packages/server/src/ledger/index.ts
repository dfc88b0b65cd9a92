import type { AppServices } from '../http/context.ts';
import type { App } from '../http/operation.ts';
import { registerCreditUnitRoutes } from './credit-unit-routes.ts';
import { registerGrantRoutes } from './grant-routes.ts';
import { registerTopUpRoutes } from './top-up-routes.ts';
import { registerWalletRoutes } from './wallet-routes.ts';
import { registerWatchRoutes } from './watch-routes.ts';

export { expireGrants } from './expire-grants.ts';
export { createGrant } from './grant-service.ts';
export { postSubscriptionAmounts } from './subscription-posting.ts';
export { watchWallets } from './watch-wallets.ts';

/** Wallets, grants and ledger entries. */
export function registerLedgerRoutes(app: App, services: AppServices): void {
  registerWalletRoutes(app, services);
  registerGrantRoutes(app, services);
  registerTopUpRoutes(app, services);
  registerWatchRoutes(app, services);
  registerCreditUnitRoutes(app, services);
}
