import type { AppServices } from '../http/context.ts';
import type { App } from '../http/operation.ts';
import { registerCustomerRoutes } from './customer-routes.ts';
import { registerMeterRoutes } from './meter-routes.ts';
import { registerModelAliasRoutes } from './model-alias-routes.ts';
import { registerPriceOverrideRoutes } from './price-override-routes.ts';
import { registerPriceTableRoutes } from './price-table-routes.ts';
import { registerRateCardRoutes } from './rate-card-routes.ts';
import { registerRateRoute } from './rate-route.ts';

export { type CustomerRow, findCustomer, findOrCreateCustomer } from './customer-store.ts';
export { findMeter, listMeters } from './meter-store.ts';
export { findLatest as findRateCard } from './rate-card-store.ts';
export { requestRerate } from './request-rerate.ts';
export { lockCatalog, raiseRevision } from './revision.ts';

/** Meters, rate cards, customers, the preview of a charge, model aliases and provider prices. */
export function registerCatalogRoutes(app: App, services: AppServices): void {
  registerMeterRoutes(app, services);
  registerRateCardRoutes(app, services);
  registerCustomerRoutes(app, services);
  registerRateRoute(app, services);
  registerModelAliasRoutes(app, services);
  registerPriceOverrideRoutes(app, services);
  registerPriceTableRoutes(app, services);
}
