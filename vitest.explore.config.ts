import { globSync, readFileSync } from 'node:fs';
import { mergeConfig } from 'vitest/config';
import usual from './vitest.config.ts';

/** The property tests alone, with random seeds and for EXPLORE_SECONDS each: it looks for the case nobody thought of. */
process.env['EXPLORE_SECONDS'] ??= '20';
const timeout = Number(process.env['EXPLORE_SECONDS']) * 1000 + 120_000;

const explored = mergeConfig(usual, { test: { testTimeout: timeout } });
explored.test.include = globSync([...(usual.test?.include ?? [])]).filter((file) =>
  readFileSync(file, 'utf8').includes("from 'fast-check'"),
);
export default explored;
