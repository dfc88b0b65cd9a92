export { type Claim, claimIdentities, StaleGenerationsError } from './claim.ts';
export { Generations } from './generations.ts';
export { maintainGenerations } from './seal.ts';
