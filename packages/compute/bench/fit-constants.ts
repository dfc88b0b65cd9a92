import { compileStep, servingPoint, type StepConstants } from '../src/index.ts';
import { minimise } from './minimise.ts';
import type { ServingRow } from './serving-rows.ts';

/** Where the search starts and what it is pulled towards: kernel-level truths of the reference (4.4). */
const PRIOR: StepConstants = {
  memory: 0.8,
  expertMemory: 0.8,
  compute: 0.8,
  computeFp8: 0.6,
  computeFp4: 0.4,
  expertCompute: 0.5,
  attention: 0.4,
  link: 0.4,
  perLayer: 45e-6,
  perMoeLayer: 40e-6,
  perIndexedLayer: 30e-6,
  perSequence: 10e-6,
  perAllReduce: 4e-6,
  vllm: 1,
  sglang: 1,
  trtllm: 1,
  prefillShare: 1,
};
const EFFICIENCIES = new Set([
  'memory',
  'expertMemory',
  'compute',
  'computeFp8',
  'computeFp4',
  'expertCompute',
  'attention',
  'link',
  'prefillShare',
]);
const ENGINES = new Set(['vllm', 'sglang', 'trtllm']);
const NAMES = Object.keys(PRIOR) as (keyof StepConstants)[];
/** A few families on one engine must not pass for the engine: its factor is pulled to 1 harder than the rest. */
const ENGINE_PULL = 0.02;
const PULL = 0.002;

export function predictTpot(row: ServingRow, constants: StepConstants): number {
  return servingPoint(compileStep(row.model, row.serving, constants), {
    concurrency: row.concurrency,
    newTokens: row.inputTokens,
    cachedTokens: 0,
    outputTokens: row.outputTokens,
  }).tpot;
}

/** Constants that minimise the mean absolute log error, softened near zero, over the rows given. */
export function fitConstants(rows: readonly ServingRow[], iterations: number): StepConstants {
  const loss = (point: readonly number[]): number => {
    const constants = toConstants(point);
    let sum = 0;
    for (const row of rows) {
      const error = Math.log(predictTpot(row, constants) / row.tpot);
      sum += Math.sqrt(error * error + 0.0025);
    }
    const pull = point.reduce((total, value, index) => {
      const name = NAMES[index];
      return total + value * value * (PULL + (name !== undefined && ENGINES.has(name) ? ENGINE_PULL : 0));
    }, 0);
    return sum / rows.length + pull;
  };
  return toConstants(minimise(loss, NAMES.length, iterations));
}

function toConstants(point: readonly number[]): StepConstants {
  const entries = NAMES.map((name, index) => {
    const value = PRIOR[name] * Math.exp(point[index] ?? 0);
    return [name, EFFICIENCIES.has(name) ? Math.min(1, value) : value] as const;
  });
  return Object.fromEntries(entries) as StepConstants;
}
