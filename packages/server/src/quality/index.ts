export { callIdOf, type CheckedEvent, findMistakes, type QualityFinding } from './find-mistakes.ts';
export { REMEDIES } from './kinds.ts';
export { registerQualityRoutes } from './quality-routes.ts';
export { forgetFindings, writeFindings } from './quality-store.ts';
