export { alreadyRunning, type Claim, claimDataDirectory, type Holder, readHolder } from './data-directory-claim.ts';
export { LaunchError } from './launch-error.ts';
export type { Log } from './log.ts';
export { type EmbeddedConnection, type EmbeddedPostgres, startEmbeddedPostgres } from './start-embedded-postgres.ts';
