export { type ErgonConfig, loadConfig } from './config.ts';
export { type DoctorCheck, diagnose } from './doctor.ts';
export { loadProviderPrices, type ProviderPrices } from './provider-prices/index.ts';
export { type RunningErgon, type StartOptions, startErgon, VERSION } from './start-ergon.ts';
export { LaunchError } from './store/embedded/index.ts';
