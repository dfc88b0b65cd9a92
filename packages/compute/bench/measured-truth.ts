import {
  busyPower,
  type CompiledModel,
  type CompiledStep,
  compileModel,
  compileStep,
  findAccelerator,
  findModel,
  readModelConfig,
  saturatedThroughput,
  STEP_FIT,
  type StepTime,
  stepTime,
  type WeightDtype,
  weightFormat,
} from '../src/index.ts';
import { type TruthRow, truthRows } from './truth-rows.ts';

const DEVICES: Readonly<Record<string, string>> = {
  H100: 'h100-sxm',
  H200: 'h200-sxm',
  B200: 'b200-sxm',
  GB200: 'gb200',
};
const DTYPES: Readonly<Record<string, WeightDtype>> = {
  FP4: 'nvfp4',
  FP8: 'fp8',
  fp8: 'fp8',
  bfloat16: 'bf16',
  BF16: 'bf16',
};

function modelOf(name: string): CompiledModel | undefined {
  const plain = name
    .replace(/-(Instruct|Thinking)?-?(2507|0528)?(-FP8)?$/, '')
    .replace('Qwen3-Coder-30B-A3B', 'Qwen3-30B-A3B')
    .replace('DeepSeek-V3.1', 'DeepSeek-V3');
  const reading = readModelConfig(
    (findModel(name) ?? findModel(plain) ?? findModel(plain.replace(/-Instruct$/, '')))?.config,
  );
  return reading.kind === 'known' ? compileModel(reading.spec) : undefined;
}

function stepOf(row: TruthRow, model: CompiledModel, devices: number): CompiledStep | undefined {
  const accelerator = findAccelerator(DEVICES[String(row.conditions['gpu'])] ?? '');
  const dtype = DTYPES[String(row.conditions['precision'])];
  if (accelerator === undefined || dtype === undefined) return undefined;
  const engine = JSON.stringify(row.conditions['engine'] ?? '').includes('TensorRT') ? 'trtllm' : 'vllm';
  const cache = engine === 'trtllm' ? 'fp8' : 'bf16';
  return compileStep(
    model,
    { accelerator, tensorParallel: devices, weights: weightFormat(dtype), cache, engine },
    STEP_FIT.constants,
  );
}

export type Scored = { readonly model: string; readonly isMoe: boolean; readonly ratio: number };

/** Saturated output throughput (TensorRT-LLM's own figures), measured / predicted. */
export function scoreSaturated(sequencesMax: number): Scored[] {
  return truthRows()
    .filter((row) => row.quantity === 'max_output_throughput')
    .flatMap((row) => {
      const model = modelOf(row.model);
      const step = model === undefined ? undefined : stepOf(row, model, Number(row.conditions['tp']));
      if (model === undefined || step === undefined) return [];
      const load = {
        newTokens: Number(row.conditions['input_tokens']),
        cachedTokens: 0,
        outputTokens: Number(row.conditions['output_tokens']),
      };
      const predicted = saturatedThroughput(step, load, sequencesMax);
      return [{ model: row.model, isMoe: model.moe.length > 0, ratio: row.value / predicted }];
    });
}

/** Energy per output token (ML.ENERGY, vLLM), measured / predicted: with the measured step time, and without. */
export function scoreEnergy(): {
  readonly withStep: Scored[];
  readonly endToEnd: Scored[];
  readonly stepTimes: Scored[];
} {
  const rows = truthRows().filter(
    (row) => row.conditions['task'] !== undefined && row.conditions['task'] !== 'sourcegraph-fim',
  );
  const key = (row: TruthRow) => JSON.stringify([row.model, row.conditions]);
  const itl = new Map(
    rows.filter((row) => row.quantity === 'median_inter_token_latency').map((row) => [key(row), row.value]),
  );
  const [withStep, endToEnd, stepTimes]: Scored[][] = [[], [], []];
  for (const row of rows.filter((item) => item.quantity === 'gpu_energy_per_output_token')) {
    const model = modelOf(row.model);
    const devices = Number(row.conditions['gpus']);
    const step = model === undefined ? undefined : stepOf(row, model, devices);
    const measuredStep = itl.get(key(row));
    if (model === undefined || step === undefined || measuredStep === undefined) continue;
    const batch = Number(row.conditions['mean_batch']);
    const prompt = row.conditions['task'] === 'gpqa' ? 200 : 150;
    const load = {
      sequences: batch,
      context: prompt + Number(row.conditions['mean_output_tokens']) / 2,
      prefillTokens: 0,
      prefillContext: 0,
    };
    const pass = stepTime(step, load);
    const energy = (seconds: number) => (devices * seconds * powerAt(step, pass, seconds)) / batch;
    const scored = (ratio: number): Scored => ({
      model: `${row.model} ${row.conditions['gpu']}`,
      isMoe: model.moe.length > 0,
      ratio,
    });
    withStep?.push(scored(row.value / energy(measuredStep)));
    endToEnd?.push(scored(row.value / energy(pass.seconds)));
    stepTimes?.push(scored(measuredStep / pass.seconds));
  }
  return { withStep: withStep ?? [], endToEnd: endToEnd ?? [], stepTimes: stepTimes ?? [] };
}

function powerAt(step: CompiledStep, pass: StepTime, seconds: number): number {
  const { accelerator } = step.serving;
  const mfu = Math.min(1, pass.flops / (seconds * accelerator.peak.bf16));
  const mbu = Math.min(1, pass.bytes / (seconds * accelerator.memoryBandwidth));
  return busyPower(accelerator, { mfu, mbu });
}
