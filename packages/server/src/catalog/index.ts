import type { AppServices } from '../http/context.ts';
import type { App } from '../http/operation.ts';
import { registerCustomerRoutes } from './customer-routes.ts';
import { registerMeterRoutes } from './meter-routes.ts';
import { registerModelAliasRoutes } from './model-alias-routes.ts';
import { registerPriceOverrideRoutes } from './price-override-routes.ts';
import { registerPriceTableRoutes } from './price-table-routes.ts';
import { registerRateCardRoutes } from './rate-card-routes.ts';
import { registerRateRoute } from './rate-route.ts';

export { beginCatalogWrite, type CatalogWrite } from './catalog-write.ts';
export { type CustomerRow, findCustomer, findOrCreateCustomer } from './customer-store.ts';
export { createMeter } from './create-meter.ts';
export { deriveVersions } from './derived-cards.ts';
export { findMeter, listMeters } from './meter-store.ts';
export { listModelAliases } from './model-alias-store.ts';
export { providerPriceRequest } from './price-override-routes.ts';
export { type PriceOverrideSpec, priceOverrideSchema } from './price-override-schema.ts';
export { publishProviderPrice } from './publish-provider-price.ts';
export { checkMeters, publishRateCard } from './publish-rate-card.ts';
export { putAlias } from './put-alias.ts';
export { rateCardRequest } from './rate-card-routes.ts';
export { standingVersions } from './standing-versions.ts';
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
