/**
 * Every target figure of the compute package: errors against measured rows, interval coverage, speed.
 * Run: `node packages/compute/bench/compute.bench.ts [--json]`. Error figures need the data beside the checkout.
 */
import {
  calibrate,
  compileModel,
  compileStep,
  countFlops,
  estimateRequest,
  findAccelerator,
  findModel,
  MODELS,
  parameters,
  readModelConfig,
  STEP_FIT,
  stepTime,
  weightFormat,
} from '../src/index.ts';
import { scoreExact } from './exact-truth.ts';
import { scoreEnergy, scoreSaturated } from './measured-truth.ts';
import { servingRows } from './serving-rows.ts';
import { calibrationSplits, errorsOf, leaveFamiliesOut, meanOf, quantile, type ScoredRow } from './validate-fit.ts';

type Figure = { readonly name: string; readonly value: number; readonly target: string | null; readonly met: boolean };

const figures: Figure[] = [];
const atMost = (name: string, value: number, target: number): void => {
  figures.push({ name, value, target: `<= ${target}`, met: value <= target });
};
const atLeast = (name: string, value: number, target: number): void => {
  figures.push({ name, value, target: `>= ${target}`, met: value >= target });
};

exactFigures();
catalogFigures();
speedFigures();
const rows = servingRows();
if (rows === undefined) console.error('no measurements beside the checkout: error figures are left out');
else {
  const scored = leaveFamiliesOut(rows, 900);
  tpotFigures(scored);
  coverageFigures(scored);
  calibrationFigures(scored);
  bandwidthFigures(scored);
  truthFigures();
}
if (process.argv.includes('--json')) console.log(JSON.stringify(figures, null, 2));
else
  for (const { name, value, target, met } of figures)
    console.log(`${met ? 'ok  ' : 'MISS'} ${name.padEnd(64)} ${value.toPrecision(4).padStart(10)}  ${target ?? ''}`);

function exactFigures(): void {
  const exact = scoreExact();
  if (exact === undefined) return;
  atLeast('FLOPs by component: computed rows compared as integers', exact.components, 96);
  atMost('FLOPs by component: of those, unequal', exact.componentsApart, 0);
  atMost('FLOPs of a pass, each in its own convention: worst error', exact.worstForwardError, 1e-4);
  atMost('KV bytes per token: rows unequal', exact.cacheBytesApart, 0);
  atMost('checkpoint bytes: gpt-oss-120b in MXFP4', exact.checkpointError, 2e-3);
}

function catalogFigures(): void {
  const errors = MODELS.flatMap((model) => {
    const reading = readModelConfig(model.config);
    if (reading.kind !== 'known' || model.published.totalParams === null) return [];
    const total = Number(parameters(compileModel(reading.spec)).total);
    return [
      {
        error: Math.abs(total / model.published.totalParams - 1),
        digits: model.published.totalParams.toString().replace(/0+$/, '').length,
      },
    ];
  });
  atLeast('catalog: models with an exact count and a published total', errors.length, 50);
  atMost(
    'parameters: worst error of unrounded totals',
    Math.max(...errors.filter((item) => item.digits > 4).map((item) => item.error)),
    5e-4,
  );
}

function speedFigures(): void {
  const reading = readModelConfig(findModel('gpt-oss-120b')?.config);
  const accelerator = findAccelerator('h100-sxm');
  if (reading.kind !== 'known' || accelerator === undefined) return;
  const model = compileModel(reading.spec);
  const step = compileStep(
    model,
    { accelerator, tensorParallel: 4, weights: weightFormat('bf16'), cache: 'bf16' },
    STEP_FIT.constants,
  );
  const calibration = calibrate([], 'moe');
  const perSecond = (count: number, act: (index: number) => unknown): number => {
    for (let index = 0; index < count / 5; index += 1) act(index);
    const from = process.hrtime.bigint();
    for (let index = 0; index < count; index += 1) act(index);
    return count / (Number(process.hrtime.bigint() - from) / 1e9);
  };
  const work = (index: number) => ({
    newTokens: 100 + (index % 4000),
    cachedTokens: index % 9000,
    outputTokens: 1 + (index % 500),
  });
  atLeast(
    'speed: counts a second on one core',
    perSecond(1_000_000, (index) => countFlops(model, work(index))),
    1_000_000,
  );
  atLeast(
    'speed: full estimates a second on one core',
    perSecond(200_000, (index) => estimateRequest(step, work(index), { batch: 32 }, calibration)),
    100_000,
  );
}

function tpotFigures(scored: readonly ScoredRow[]): void {
  atMost('TPOT, family left out: median error', quantile(errorsOf(scored), 0.5), 0.12);
  atMost('TPOT, family left out: mean error', meanOf(errorsOf(scored)), 0.18);
  atMost(
    'TPOT, family left out: dense median error',
    quantile(errorsOf(scored.filter(({ row }) => !row.isMoe)), 0.5),
    0.08,
  );
}

/** The interval of a family comes from the ratios of the other families alone. */
function coverageFigures(scored: readonly ScoredRow[]): void {
  const families = [...Map.groupBy(scored, ({ row }) => row.family)];
  const covered = families.map(([family, items]) => {
    const isMoe = items[0]?.row.isMoe === true;
    const others = families
      .filter(([name, rest]) => name !== family && (!isMoe || rest[0]?.row.isMoe === true))
      .map(([, rest]) => rest);
    const ratios = others.flat().map((item) => item.ratio);
    const mean = (share: number) =>
      meanOf(
        others.map((rest) =>
          quantile(
            rest.map((item) => item.ratio),
            share,
          ),
        ),
      );
    const low = Math.min(quantile(ratios, 0.05), mean(0.05));
    const high = Math.max(quantile(ratios, 0.95), mean(0.95));
    return items.filter((item) => item.ratio >= low && item.ratio <= high).length / items.length;
  });
  atLeast('TPOT: 90 % interval covers, mean over families left out', meanOf(covered), 0.88);
}

function calibrationFigures(scored: readonly ScoredRow[]): void {
  const splits = calibrationSplits(scored, 5, 30);
  const outcomes = splits.flatMap(([seen, rest]) => {
    const isMoe = seen[0]?.row.isMoe === true;
    const observations = seen.map((item) => ({ predicted: item.predicted, measured: item.row.tpot }));
    const { factor, low, high } = calibrate(observations, isMoe ? 'moe' : 'dense');
    return rest.map((item) => ({
      ratio: item.ratio / factor,
      inside: item.ratio >= low && item.ratio <= high ? 1 : 0,
    }));
  });
  atMost('TPOT after 5 observations of a deployment: median error', quantile(errorsOf(outcomes), 0.5), 0.075);
  atMost('TPOT after 5 observations of a deployment: mean error', meanOf(errorsOf(outcomes)), 0.12);
  atLeast('TPOT after 5 observations: 90 % interval covers', meanOf(outcomes.map((item) => item.inside)), 0.88);
}

/** The band that closed models are inferred from. */
function bandwidthFigures(scored: readonly ScoredRow[]): void {
  const uses = scored
    .filter(({ row }) => row.concurrency <= 8)
    .map(({ row }) => {
      const step = compileStep(row.model, row.serving, STEP_FIT.constants);
      const pass = stepTime(step, {
        sequences: row.concurrency,
        context: row.inputTokens + row.outputTokens / 2,
        prefillTokens: 0,
        prefillContext: 0,
      });
      return pass.bytes / (row.tpot * row.serving.accelerator.memoryBandwidth);
    });
  for (const share of [0.025, 0.975]) {
    figures.push({
      name: `bandwidth use at concurrency <= 8, p${share * 100}`,
      value: quantile(uses, share),
      target: null,
      met: true,
    });
  }
}

function truthFigures(): void {
  const saturated = scoreSaturated(2048);
  if (saturated.length === 0) return;
  atMost('saturated throughput, dense: mean error', meanOf(errorsOf(saturated.filter((item) => !item.isMoe))), 0.15);
  const { withStep, endToEnd } = scoreEnergy();
  atMost('energy per output token, step time measured: mean error', meanOf(errorsOf(withStep)), 0.15);
  atMost('energy per output token, end to end: mean error', meanOf(errorsOf(endToEnd)), 0.25);
}
