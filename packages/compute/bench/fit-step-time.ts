/**
 * Fits the step-time model's constants to the measured serving points beside the checkout and writes
 * `src/step-fit.generated.ts`: constants, the errors on families left out, and the intervals that follow from them.
 * Run: `node packages/compute/bench/fit-step-time.ts`.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { calibrate, type ErrorClass } from '../src/index.ts';
import { fitConstants } from './fit-constants.ts';
import { servingRows } from './serving-rows.ts';
import { calibrationSplits, errorsOf, leaveFamiliesOut, meanOf, quantile, type ScoredRow } from './validate-fit.ts';

const ITERATIONS = 900;
const rows = servingRows();
if (rows === undefined) {
  console.error('no measurements beside the checkout (shared/data/serving-measurements); the shipped constants stay');
  process.exit(1);
}
const round = (value: number, digits = 4): number => Number(value.toPrecision(digits));
const constants = Object.fromEntries(
  Object.entries(fitConstants(rows, ITERATIONS)).map(([name, value]) => [name, round(value)]),
);
const scored = leaveFamiliesOut(rows, ITERATIONS);

// Coverage is wanted as a mean over families: every family weighs the same, and a new one errs more than the known.
const bounds = (items: readonly ScoredRow[]) => {
  const families = [...Map.groupBy(items, ({ row }) => row.family).values()];
  const at = (share: number) =>
    families.map((family) =>
      quantile(
        family.map((item) => item.ratio),
        share,
      ),
    );
  const pooled = (share: number) =>
    quantile(
      items.map((item) => item.ratio),
      share,
    );
  return {
    low: round(Math.min(pooled(0.05), meanOf(at(0.05))), 3),
    high: round(Math.max(pooled(0.95), meanOf(at(0.95))), 3),
  };
};
/** How far deployments still err after some observations of their own, at 90 %. */
const spreadOf = (items: readonly ScoredRow[], errorClass: ErrorClass) =>
  [1, 3, 5, 10].map((observations) => {
    const residuals = calibrationSplits(items, observations, 20).flatMap(([seen, rest]) => {
      const measured = seen.map((item) => ({ predicted: item.predicted, measured: item.row.tpot }));
      const { factor } = calibrate(measured, errorClass);
      return rest.map((item) => item.ratio / factor);
    });
    return { observations, low: round(quantile(residuals, 0.05), 3), high: round(quantile(residuals, 0.95), 3) };
  });
const dense = scored.filter(({ row }) => !row.isMoe);
const moe = scored.filter(({ row }) => row.isMoe);
const summary = (items: readonly ScoredRow[]) => ({
  rows: items.length,
  median: round(quantile(errorsOf(items), 0.5), 3),
  mean: round(meanOf(errorsOf(items)), 3),
});
const fit = {
  fittedOn: new Date().toISOString().slice(0, 10),
  data: 'ai-dynamo/aiconfigurator@095f58a silicon_sample.csv: aggregated serving, tensor parallel to 8, no attention data parallelism',
  rows: rows.length,
  constants,
  leftOut: {
    all: summary(scored),
    dense: summary(dense),
    moe: summary(moe),
    families: Object.fromEntries(
      [...Map.groupBy(scored, ({ row }) => row.family)].map(([family, items]) => [family, summary(items)]),
    ),
  },
  intervals: {
    dense: bounds(dense),
    moe: bounds(moe),
  },
  calibratedSpread: { dense: spreadOf(dense, 'dense'), moe: spreadOf(moe, 'moe') },
};
const text = `// Written by bench/fit-step-time.ts; do not edit. Errors are of rows whose model family the constants had not seen.\nexport const STEP_FIT = ${JSON.stringify(fit, null, 2)};\n`;
writeFileSync(join(import.meta.dirname, '..', 'src', 'step-fit.generated.ts'), text);
console.log(JSON.stringify(fit, null, 2));
