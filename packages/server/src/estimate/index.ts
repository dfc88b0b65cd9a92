export { boundHold } from './bound-hold.ts';
export { registerEstimateRoute } from './estimate-route.ts';
