import { loadConfig } from './config.ts';
import { startErgon } from './start-ergon.ts';

const running = await startErgon(loadConfig(process.env));
console.log(running.url);
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void running.stop().then(() => process.exit(0)));
