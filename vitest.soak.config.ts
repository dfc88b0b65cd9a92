import { defineConfig } from 'vitest/config';

/** Long tests with a command of their own (`npm run soak`): crashes under load, floods of hostile input. */
export default defineConfig({
  test: {
    include: ['tests/soak/**/*.soak.ts'],
    globalSetup: ['tests/support/postgres-setup.ts'],
    testTimeout: 30 * 60_000,
    hookTimeout: 120_000,
    fileParallelism: false,
    passWithNoTests: true,
  },
});
