export { auditEnvironment } from './audit-environment.ts';
export { registerAuditRoutes } from './audit-route.ts';
