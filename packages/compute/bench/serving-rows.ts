import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import {
  compileModel,
  type CompiledModel,
  findAccelerator,
  findModel,
  readModelConfig,
  type Serving,
  type WeightFormat,
  weightFormat,
} from '../src/index.ts';

/** One measured serving point. Seconds; lengths in tokens. */
export type ServingRow = {
  readonly family: string;
  readonly deployment: string;
  readonly model: CompiledModel;
  readonly isMoe: boolean;
  readonly serving: Serving;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly concurrency: number;
  readonly tpot: number;
  readonly engine: string;
};

const MODELS: Readonly<Record<string, readonly [string, string]>> = {
  'deepseek-ai/DeepSeek-R1': ['DeepSeek-R1', 'deepseek'],
  'deepseek-ai/DeepSeek-V3': ['DeepSeek-V3', 'deepseek'],
  'nvidia/DeepSeek-R1-NVFP4': ['DeepSeek-R1', 'deepseek'],
  'nvidia/DeepSeek-V3.1-NVFP4': ['DeepSeek-V3', 'deepseek'],
  'meta-llama/Llama-3.1-70B': ['Llama-3.1-70B', 'llama-70b'],
  'meta-llama/Llama-3.1-8B-Instruct': ['Llama-3.1-8B', 'llama-8b'],
  'nvidia/Llama-3.1-8B-Instruct-FP8': ['Llama-3.1-8B', 'llama-8b'],
  'Qwen/Qwen3.5-397B-A17B': ['Qwen3.5-397B-A17B', 'qwen3.5-397b'],
  'Qwen/Qwen3-235B-A22B-FP8': ['Qwen3-235B-A22B', 'qwen3-235b'],
  'moonshotai/Kimi-K2.5': ['Kimi-K2.5', 'kimi-k2.5'],
  'zhipuai/GLM-5': ['GLM-5', 'glm-5'],
};

/** The measurements beside the checkout; undefined where they are absent. */
export function servingRows(): ServingRow[] | undefined {
  const path = findData(join('serving-measurements', 'silicon_sample.csv.gz'));
  if (path === undefined) return undefined;
  const lines = gunzipSync(readFileSync(path)).toString('utf8').trim().split('\n');
  const header = (lines[0] ?? '').trim().split(',');
  const found = new Map<string, ServingRow>();
  for (const line of lines.slice(1)) {
    const cells = line.trim().split(',');
    const cell = (name: string): string => cells[header.indexOf(name)] ?? '';
    const row = readRow(cell);
    if (row === undefined) continue;
    found.set(
      [
        'backend',
        'model_path',
        'system',
        'precision',
        'gemm_quant_mode',
        'moe_quant_mode',
        'isl',
        'osl',
        'batch_size',
        'tp_size',
        'moe_tp_size',
        'moe_ep_size',
        'silicon_tpot_ms',
      ]
        .map(cell)
        .join('|'),
      row,
    );
  }
  return [...found.values()];
}

/** Aggregated serving, tensor parallel up to 8, no attention data-parallelism: what the model claims to cover. */
function readRow(cell: (name: string) => string): ServingRow | undefined {
  const known = MODELS[cell('model_path')];
  const devices = Number(cell('tp_size'));
  if (known === undefined || cell('mode') !== 'agg' || !(devices >= 1 && devices <= 8)) return undefined;
  if (cell('attention_dp_size') !== '' && cell('attention_dp_size') !== '1') return undefined;
  const accelerator = findAccelerator(cell('system').replace('_', '-'));
  const model = modelOf(known[0]);
  const tpot = Number(cell('silicon_tpot_ms')) / 1000;
  if (accelerator === undefined || !(tpot > 0)) return undefined;
  const engine = cell('backend');
  const format = formatOf(cell('precision'), cell('gemm_quant_mode'), cell('moe_quant_mode'), model);
  return {
    family: known[1],
    deployment: [known[0], accelerator.id, engine, cell('precision'), devices].join('/'),
    model,
    isMoe: model.moe.length > 0,
    serving: {
      accelerator,
      tensorParallel: devices,
      weights: format,
      cache: engine === 'trtllm' && cell('precision') !== '' ? 'fp8' : 'bf16',
      ...(engine === 'vllm' || engine === 'sglang' || engine === 'trtllm' ? { engine } : {}),
    },
    inputTokens: Number(cell('isl')),
    outputTokens: Number(cell('osl')),
    concurrency: Number(cell('batch_size')),
    tpot,
    engine,
  };
}

function formatOf(precision: string, gemm: string, moe: string, model: CompiledModel): WeightFormat {
  const isLatent = model.spec.layers.some((run) => run.layer.mixer.kind === 'latent');
  if (precision === 'fp4') {
    // NVIDIA's NVFP4 checkpoints of latent-attention models keep attention in bf16.
    return isLatent ? { ...weightFormat('nvfp4'), attention: 'bf16' } : weightFormat('nvfp4');
  }
  if (precision === 'int4') return { ...weightFormat('int4'), attention: 'bf16', ffn: 'bf16', shared_experts: 'bf16' };
  if (precision === 'bf16' || (gemm === '' && moe === '')) return weightFormat('bf16');
  return weightFormat(gemm === 'fp8_block' || moe === 'fp8_block' ? 'fp8_block' : 'fp8');
}

const compiled = new Map<string, CompiledModel>();

function modelOf(name: string): CompiledModel {
  const known = compiled.get(name);
  if (known !== undefined) return known;
  const reading = readModelConfig(findModel(name)?.config);
  if (reading.kind !== 'known') throw new Error(`${name} is not in the catalog`);
  const model = compileModel(reading.spec);
  compiled.set(name, model);
  return model;
}

/** `shared/data` beside the repository, looked for upwards from here. */
export function findData(name: string): string | undefined {
  let at = import.meta.dirname;
  for (let depth = 0; depth < 8; depth += 1) {
    const path = join(at, 'shared', 'data', name);
    if (existsSync(path)) return path;
    at = dirname(at);
  }
  return undefined;
}
