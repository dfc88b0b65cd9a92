import type { AppServices } from '../context.ts';
import type { App } from '../operation.ts';
import { registerAuditLogRoutes } from './audit-log-routes.ts';
import { registerEnvironmentRoutes } from './environment-routes.ts';
import { registerKeyRoutes } from './key-routes.ts';

/** Keys, environments and the audit log. */
export function registerAccessRoutes(app: App, services: AppServices): void {
  registerKeyRoutes(app, services);
  registerEnvironmentRoutes(app, services);
  registerAuditLogRoutes(app, services);
}
