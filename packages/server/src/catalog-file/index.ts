export { registerCatalogFileRoutes } from './routes.ts';
