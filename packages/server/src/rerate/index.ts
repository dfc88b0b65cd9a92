import type { AppServices } from '../http/context.ts';
import type { App } from '../http/operation.ts';
import { findPriceable } from './find-priceable.ts';
import { registerRerateRoutes } from './rerate-routes.ts';
import { type RerateServices, runRerates } from './run-rerate.ts';

/** Re-rating: recorded usage by the catalog as it is now, posted as adjustments. */
export function registerRerating(app: App, services: AppServices): void {
  registerRerateRoutes(app, services, () => {
    void rerateDue(services).catch((error: unknown) => services.logError(error, 're-rating'));
  });
}

/** Carries out the re-ratings that were asked for, then rates usage that a change of the catalog made priceable. */
export async function rerateDue(services: AppServices): Promise<void> {
  await runRerates(servicesOf(services));
  await findPriceable(services.database, (environmentId) => services.clocks.now(environmentId));
  await runRerates(servicesOf(services));
}

function servicesOf({ database, record, clocks, logError }: AppServices): RerateServices {
  return {
    database,
    record,
    now: (environmentId) => clocks.now(environmentId),
    onFailure: (error) => logError(error, 're-rating'),
  };
}
