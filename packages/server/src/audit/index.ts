export { registerAuditRoutes } from './audit-route.ts';
