import type { AppServices } from '../http/context.ts';
import type { App } from '../http/operation.ts';
import type { HoldBounder } from './admit.ts';
import { registerBudgetRoutes } from './budget-routes.ts';
import { registerHoldRoutes } from './hold-routes.ts';

export { expireHolds } from './expire-holds.ts';
export type { AskedHold, BoundHold } from './admit.ts';
export { HoldDesk } from './hold-desk.ts';
export { Leases } from './leases.ts';
export { type WouldAdmit, wouldAdmit } from './would-admit.ts';

export type { HoldBody } from './schemas.ts';

export function registerGovernRoutes(app: App, services: AppServices, boundHold: HoldBounder): void {
  registerBudgetRoutes(app, services);
  registerHoldRoutes(app, services, boundHold);
}
