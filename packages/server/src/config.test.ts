import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { loadConfig } from './config.ts';

const NAMES = [
  ...['ERGON_DATA_DIR', 'ERGON_HOST', 'ERGON_PORT', 'ERGON_API_KEY', 'ERGON_LATE_EVENT_DAYS', 'ERGON_LANES'],
  ...['ERGON_DATABASE_CONNECTIONS', 'ERGON_WEBHOOK_PRIVATE_HOSTS', 'ERGON_LOG_LEVEL', 'DATABASE_URL'],
];

test('an empty variable is as one that is not there', () => {
  const empty = loadConfig(Object.fromEntries(NAMES.map((name) => [name, ''])));
  expect(empty).toEqual(loadConfig({}));
  expect(empty).toMatchObject({ dataDir: resolve('.ergon'), host: '127.0.0.1', logLevel: 'info', apiKey: undefined });
});

test.each([
  [{ ERGON_PORT: 'zork' }, /ERGON_PORT must be a whole number from 0 to 65535, got "zork"/],
  [{ ERGON_LANES: '99' }, /ERGON_LANES must be a whole number from 1 to 16/],
  [{ ERGON_HOST: '0.0.0.0' }, /ERGON_API_KEY must be set/],
  [
    { ERGON_LOG_LEVEL: 'loud' },
    /ERGON_LOG_LEVEL must be one of trace, debug, info, warn, error, fatal, silent, got "loud"/,
  ],
  [{ ERGON_WEBHOOK_PRIVATE_HOSTS: '1.2.3.4/99' }, /ERGON_WEBHOOK_PRIVATE_HOSTS: "1.2.3.4\/99" is no network/],
])('%j is refused by name', (env, message) => {
  expect(() => loadConfig(env)).toThrow(message);
});
