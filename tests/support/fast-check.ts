import fc from '../../node_modules/fast-check/lib/fast-check.js';

/**
 * fast-check as the tests get it in place of the package (vitest.config.ts). `npm test` says whether a commit is good, so it
 * tries the same cases each time; `npm run explore` looks for new ones: random seeds, and as many cases as fit into
 * EXPLORE_SECONDS for each property.
 */
const SEED = 20_261_121;
const seconds = Number(process.env['EXPLORE_SECONDS'] ?? 0);
/** A property that never waits keeps what its code holds weakly until it ends, so its runs are bounded too. */
const MORE_RUNS = 50;

if (seconds === 0) fc.configureGlobal({ seed: SEED });

function assertMore(property: Parameters<typeof fc.assert>[0], parameters?: fc.Parameters<unknown>): unknown {
  const { seed: _, path: __, ...rest } = parameters ?? {};
  return fc.assert(property as fc.IAsyncProperty<unknown>, {
    ...rest,
    numRuns: (rest.numRuns ?? 100) * MORE_RUNS,
    interruptAfterTimeLimit: seconds * 1000,
    markInterruptAsFailure: false,
  });
}

export default seconds === 0 ? fc : { ...fc, assert: assertMore };
