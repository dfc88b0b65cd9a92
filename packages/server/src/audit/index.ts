export { auditEnvironment } from './audit-environment.ts';
export { registerAuditRoutes } from './routes.ts';
