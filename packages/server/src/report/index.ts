import type { AppServices } from '../http/context.ts';
import type { App } from '../http/operation.ts';
import { registerEventRoutes } from './event-routes.ts';
import { registerReportedModelsRoute } from './reported-models-route.ts';
import { registerPerTokenRoute } from './per-token-route.ts';
import { registerRunRoute } from './run-route.ts';
import { registerSourceRoute } from './source-route.ts';
import { registerSimulateRoute } from './simulate/simulate-route.ts';
import { registerUnratedRoutes } from './unrated/unrated-routes.ts';
import { registerUsageRoute } from './usage-route.ts';

export { meterTotal } from './meter-total.ts';

/** What was used, which events came, why one cost what it did, and what a run did in all. Nothing here writes. */
export function registerReportRoutes(app: App, services: AppServices): void {
  registerUsageRoute(app, services);
  registerPerTokenRoute(app, services);
  registerEventRoutes(app, services);
  registerRunRoute(app, services);
  registerReportedModelsRoute(app, services);
  registerSourceRoute(app, services);
  registerSimulateRoute(app, services);
  registerUnratedRoutes(app, services);
}
