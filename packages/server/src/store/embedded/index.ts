export { packagedBinaries, runnableBinaries } from './binaries.ts';
export { alreadyRunning, claimDataDirectory, readHolder } from './data-directory-claim.ts';
export { databaseIdentity } from './identity.ts';
export { LaunchError } from './launch-error.ts';
export type { Log } from './log.ts';
export { readPostmaster } from './postmaster.ts';
export { type EmbeddedPostgres, startEmbeddedPostgres } from './start-embedded-postgres.ts';
