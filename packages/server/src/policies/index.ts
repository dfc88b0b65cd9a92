import type { AppServices } from '../http/context.ts';
import type { App } from '../http/operation.ts';
import { registerDecisionRoutes } from './decision-routes.ts';
import { registerPolicyRoutes } from './policy-routes.ts';

export { type Decided, decideAndRecord } from './decide-and-record.ts';
export type { PolicyCache } from './policy-store.ts';

/** Policies, and what they decided. */
export function registerPoliciesRoutes(app: App, services: AppServices): void {
  registerPolicyRoutes(app, services);
  registerDecisionRoutes(app, services);
}
