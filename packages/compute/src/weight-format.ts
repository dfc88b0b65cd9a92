import type { CompiledModel } from './compile-model.ts';
import { isRecord } from './config-keys.ts';
import { WEIGHT_PLACES, type WeightPlace } from './layer-cost.ts';

export type WeightDtype = 'fp32' | 'bf16' | 'fp8' | 'fp8_block' | 'int8' | 'int4' | 'mxfp4' | 'nvfp4';

/** Bytes of 64 weights, scales included: whole numbers, but for fp8 blocks (one fp32 scale for 128 x 128 weights). */
const BYTES_PER_64: Readonly<Record<WeightDtype, number>> = {
  fp32: 256,
  bf16: 128,
  fp8: 64,
  fp8_block: 64 + 1 / 64,
  int8: 64,
  int4: 34, // groups of 128 with a scale and a zero point
  mxfp4: 34, // blocks of 32 with one byte of scale
  nvfp4: 36, // blocks of 16 with one byte of scale
};

export function bytesPerWeight(dtype: WeightDtype): number {
  return BYTES_PER_64[dtype] / 64;
}

type FormatPlace = Exclude<WeightPlace, 'vectors'> | 'embedding' | 'head' | 'vectors';
/** Which precision each kind of tensor is stored in. */
export type WeightFormat = Readonly<Record<FormatPlace, WeightDtype>>;

const PLAIN: WeightFormat = {
  attention: 'bf16',
  ffn: 'bf16',
  routed_experts: 'bf16',
  shared_experts: 'bf16',
  router: 'bf16',
  vectors: 'bf16',
  embedding: 'bf16',
  head: 'bf16',
};

/** A precision by name, as serving engines take it: matrices quantised, embedding, head, router and norms not. */
export function weightFormat(dtype: WeightDtype): WeightFormat {
  if (dtype === 'fp32')
    return {
      ...PLAIN,
      attention: dtype,
      ffn: dtype,
      routed_experts: dtype,
      shared_experts: dtype,
      router: dtype,
      vectors: dtype,
      embedding: dtype,
      head: dtype,
    };
  if (dtype === 'mxfp4') return { ...PLAIN, routed_experts: dtype };
  return { ...PLAIN, attention: dtype, ffn: dtype, routed_experts: dtype, shared_experts: dtype };
}

/** The format that `quantization_config` tells, its ignore list respected; plain bf16 without one. */
export function readWeightFormat(config: unknown): WeightFormat {
  const quantization = isRecord(config) ? config['quantization_config'] : undefined;
  if (!isRecord(quantization)) return PLAIN;
  const dtype = readQuantizedDtype(quantization);
  const format = weightFormat(dtype);
  const lists = [quantization['ignore'], quantization['modules_to_not_convert'], quantization['exclude_modules']];
  const ignored = lists.flatMap((list) => (Array.isArray(list) ? list.map(String) : []));
  const skips = (pattern: RegExp): boolean => ignored.some((name) => pattern.test(name));
  return {
    ...format,
    ...(skips(/self_attn(?!\.(q|kv)_a)|attention/) ? { attention: 'bf16' } : {}),
    ...(skips(/shared_expert/) ? { shared_experts: 'bf16' } : {}),
    ...(skips(/mlp(\.|\\\.)?(\(|gate_up|gate_proj|up_proj|down_proj)/) ? { ffn: 'bf16' } : {}),
  };
}

function readQuantizedDtype(quantization: Readonly<Record<string, unknown>>): WeightDtype {
  const named = [quantization['quant_method'], quantization['quant_algo']].find((name) => typeof name === 'string');
  const method = typeof named === 'string' ? named.toLowerCase() : '';
  const text = JSON.stringify(quantization).toLowerCase();
  if (method.includes('mxfp4')) return 'mxfp4';
  if (text.includes('nvfp4')) return 'nvfp4';
  if (method === 'fp8' || method.includes('fbgemm')) {
    return Array.isArray(quantization['weight_block_size']) ? 'fp8_block' : 'fp8';
  }
  if (/"num_bits":4/.test(text) || quantization['bits'] === 4) return 'int4';
  if (/"num_bits":8/.test(text)) return text.includes('float') ? 'fp8' : 'int8';
  if (quantization['bits'] === 8 || method.includes('int8')) return 'int8';
  if (method === 'awq' || method === 'gptq') return 'int4';
  return text.includes('fp8') ? 'fp8' : 'bf16';
}

/** Bytes of the checkpoint's tensors, both towers of an encoder-decoder. */
export function checkpointBytes(model: CompiledModel, format: WeightFormat): bigint {
  const places = WEIGHT_PLACES.reduce((sum, place) => sum + model.weights[place] * bytesPerWeight(format[place]), 0);
  const loose = (model.spec.loose + model.spec.pooler) * bytesPerWeight(format.vectors);
  const ends = model.embedding * bytesPerWeight(format.embedding) + model.headWeights * bytesPerWeight(format.head);
  const own = BigInt(Math.round(places + loose + ends));
  return own + (model.encoder === undefined ? 0n : checkpointBytes(model.encoder, format));
}
