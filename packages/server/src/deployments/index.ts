import type { AppServices } from '../http/context.ts';
import type { App } from '../http/operation.ts';
import { registerCapacityRoutes } from './capacity-routes.ts';
import { registerDeploymentRoutes } from './deployment-routes.ts';
import { registerObservationRoutes } from './observation-routes.ts';

export { type CompiledDeployment, calibrationOf, compileDeployment } from './compile-deployment.ts';
export { acceleratorInput, devicePrice, engineName, kvDtype, modelConfig, weightDtype } from './schemas.ts';

/** Where models run, what was measured there, and what became of the device-hours. */
export function registerComputeRoutes(app: App, services: AppServices): void {
  registerDeploymentRoutes(app, services);
  registerObservationRoutes(app, services);
  registerCapacityRoutes(app, services);
}
