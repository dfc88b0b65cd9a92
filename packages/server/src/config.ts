import { resolve } from 'node:path';
import { addressGuard } from './outbound/index.ts';

export type ErgonConfig = {
  readonly host: string;
  readonly port: number;
  readonly dataDir: string;
  /** A PostgreSQL of the operator's own; absent, Ergon runs one in the data directory. */
  readonly databaseUrl: string | undefined;
  readonly apiKey: string | undefined;
  readonly lateDays: number;
  /** Transactions in flight per environment and process. */
  readonly lanes: number;
  /** Connections to the database this process opens. */
  readonly connections: number;
  readonly logLevel: string;
  /** Hosts, addresses and networks that webhooks may reach although they are private. */
  readonly webhookPrivateHosts: readonly string[];
};

const LOOPBACK = new Set(['127.0.0.1', '::1', 'localhost']);

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];

/**
 * Reads the configuration from environment variables (docs/configuration.md). An empty one is as one that is not there.
 *
 * @throws RangeError naming the variable at fault.
 */
export function loadConfig(given: Readonly<Record<string, string | undefined>>): ErgonConfig {
  const env = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== ''));
  const host = env.ERGON_HOST ?? '127.0.0.1';
  const apiKey = env.ERGON_API_KEY;
  if (apiKey === undefined && !LOOPBACK.has(host)) {
    throw new RangeError('ERGON_API_KEY must be set when ERGON_HOST is not a loopback address');
  }
  const logLevel = env.ERGON_LOG_LEVEL ?? 'info';
  if (!LOG_LEVELS.includes(logLevel)) {
    throw new RangeError(`ERGON_LOG_LEVEL must be one of ${LOG_LEVELS.join(', ')}, got ${JSON.stringify(logLevel)}`);
  }
  return {
    host,
    port: wholeNumber(env, 'ERGON_PORT', 4600, 0, 65_535),
    dataDir: resolve(env.ERGON_DATA_DIR ?? '.ergon'),
    databaseUrl: env.DATABASE_URL,
    apiKey,
    lateDays: wholeNumber(env, 'ERGON_LATE_EVENT_DAYS', 35, 1, 3650),
    lanes: wholeNumber(env, 'ERGON_LANES', 1, 1, 16),
    connections: wholeNumber(env, 'ERGON_DATABASE_CONNECTIONS', 10, 3, 100),
    logLevel,
    webhookPrivateHosts: privateHosts(env.ERGON_WEBHOOK_PRIVATE_HOSTS ?? ''),
  };
}

function privateHosts(text: string): readonly string[] {
  const entries = text.split(',').flatMap((entry) => (entry.trim() === '' ? [] : [entry.trim()]));
  try {
    addressGuard(entries);
  } catch (error) {
    throw new RangeError(`ERGON_WEBHOOK_PRIVATE_HOSTS: ${error instanceof Error ? error.message : 'not a list'}`);
  }
  return entries;
}

function wholeNumber(
  env: Readonly<Record<string, string | undefined>>,
  name: string,
  fallback: number,
  min: number,
  max: number,
): number {
  const text = env[name];
  if (text === undefined) return fallback;
  const value = Number(text);
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new RangeError(
      `${name} must be a whole number from ${min} to ${max}, got ${JSON.stringify(text.slice(0, 40))}`,
    );
  }
  return value;
}
