import type { AppServices } from '../http/context.ts';
import type { App } from '../http/operation.ts';
import { registerChangeRoutes } from './change-routes.ts';
import { registerClockRoute } from './clock-route.ts';
import { registerDefinitionRoutes } from './definition-routes.ts';
import { registerEntitlementRoutes } from './entitlement-routes.ts';
import { registerOverrideRoutes } from './override-routes.ts';
import { registerSubscriptionRoutes } from './subscription-routes.ts';

export { adjustAllEnded, advanceDue } from './advance-due.ts';
export { staleTerms } from './customer-terms.ts';
export { latestDefinitions } from './definition-store.ts';
export { entitleDue } from './compile-entitlements.ts';
export { overrideSpecOf } from './override-routes.ts';
export { DEFINITIONS, publishDefinition } from './publish-definition.ts';
export { standingOverrides } from './override-store.ts';
export { overrideRequest, type OverrideSpec, putOverride } from './put-override.ts';

/** Features, plans, add-ons, coupons; subscriptions and their periods; price overrides; the clock of a sandbox. */
export function registerBillingRoutes(app: App, services: AppServices): void {
  registerDefinitionRoutes(app, services);
  registerSubscriptionRoutes(app, services);
  registerChangeRoutes(app, services);
  registerOverrideRoutes(app, services);
  registerEntitlementRoutes(app, services);
  registerClockRoute(app, services);
}
