import { type ErgonConfig, loadConfig } from './config.ts';
import { type RunningErgon, startErgon, VERSION } from './start-ergon.ts';
import { LaunchError } from './store/embedded/index.ts';

/** The service as a process: starts, says where it is, stops cleanly on SIGINT and SIGTERM. Exit code 1: it could not start. */
async function main(): Promise<void> {
  const startedAt = performance.now();
  const config = loadConfig(process.env);
  const service: { running?: RunningErgon } = {};
  let isStopping = false;
  const stop = (reason: string, code: number): void => {
    const { running } = service;
    if (isStopping || running === undefined) return;
    isStopping = true;
    console.log(`Ergon stops (${reason}); requests in flight are answered first.`);
    running
      .stop()
      .then(() => process.exit(code))
      .catch((error: unknown) => {
        console.error('Ergon did not stop cleanly:', error);
        process.exit(1);
      });
  };
  const running = await startErgon(config, {
    onLost: () => stop('another service has taken over the data directory', 1),
  });
  service.running = running;
  announce(running, config, performance.now() - startedAt);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop(signal, 0));
}

function announce(running: RunningErgon, config: ErgonConfig, elapsedMs: number): void {
  console.log(`Ergon ${VERSION} is ready after ${(elapsedMs / 1000).toFixed(1)} s`);
  console.log(`  URL             ${running.url}`);
  console.log(`  data directory  ${config.dataDir}`);
  console.log(
    `  database        ${config.databaseUrl === undefined ? 'PostgreSQL 18 in the data directory' : 'DATABASE_URL'}`,
  );
  if (running.newAdminKey !== undefined) {
    console.log(`  API key         ${running.newAdminKey}`);
    console.log('                  (an administrator key, shown once; kept in the data directory as api-key)');
  }
  console.log(`  next            open ${running.url}/ or run: npx ergon --help`);
}

try {
  await main();
} catch (error) {
  if (error instanceof LaunchError || error instanceof RangeError) {
    console.error(`Ergon cannot start: ${error.message}`);
  } else if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') {
    console.error(`Ergon cannot start: ${error.message}. Choose another port with ERGON_PORT, or stop what holds it.`);
  } else {
    console.error('Ergon cannot start:', error);
  }
  process.exit(1);
}
