export { registerEstimateRoute } from './estimate-route.ts';
