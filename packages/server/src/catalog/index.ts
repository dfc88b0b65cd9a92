import type { AppServices } from '../http/context.ts';
import type { App } from '../http/operation.ts';
import { registerCustomerRoutes } from './customer-routes.ts';
import { registerMeterRoutes } from './meter-routes.ts';
import { registerRateCardRoutes } from './rate-card-routes.ts';
import { registerRateRoute } from './rate-route.ts';

export { type CustomerRow, findCustomer, findOrCreateCustomer } from './customer-store.ts';
export { findMeter, listMeters } from './meter-store.ts';
export { lockCatalog, raiseRevision } from './revision.ts';

/** Meters, rate cards, customers and the preview of a charge. */
export function registerCatalogRoutes(app: App, services: AppServices): void {
  registerMeterRoutes(app, services);
  registerRateCardRoutes(app, services);
  registerCustomerRoutes(app, services);
  registerRateRoute(app, services);
}
