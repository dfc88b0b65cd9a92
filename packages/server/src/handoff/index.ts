import type { AppServices } from '../http/context.ts';
import type { App } from '../http/operation.ts';
import { registerDeliveryRoutes } from './delivery-routes.ts';
import { registerEndpointRoutes } from './endpoint-routes.ts';

export { deliverWebhooks } from './deliver-webhooks.ts';

/** Webhook endpoints and what was sent to them. */
export function registerHandoffRoutes(app: App, services: AppServices): void {
  registerEndpointRoutes(app, services);
  registerDeliveryRoutes(app, services);
}
