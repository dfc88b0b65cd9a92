import { describe, expect, it } from 'vitest';
import { cacheBytes, kvBytesPerToken } from './cache-bytes.ts';
import { ACCELERATORS, findAccelerator, findModel, MODELS } from './catalog.ts';
import { type CompiledModel, compileModel } from './compile-model.ts';
import { countFlops, encoderFlops, flopsByComponent } from './count-flops.ts';
import { FLOP_CONVENTIONS, type FlopConvention, flopsInConvention } from './flop-conventions.ts';
import { parameters } from './parameters.ts';
import { readModelConfig } from './read-model-config.ts';
import { checkpointBytes, readWeightFormat, weightFormat } from './weight-format.ts';

function compiled(name: string): CompiledModel {
  const reading = readModelConfig(findModel(name)?.config);
  if (reading.kind !== 'known') throw new Error(`${name}: ${JSON.stringify(reading)}`);
  return compileModel(reading.spec);
}

describe('FLOPs by component (reference/compute/truth.json, computed rows: integers equal)', () => {
  // model, new, cached, attention projections, attention core, FFN with experts, state space, logits
  const rows: readonly (readonly [string, number, number, bigint, bigint, bigint, bigint, bigint])[] = [
    ['Qwen3-30B-A3B', 1024, 0, 1855425871872n, 412719513600n, 3736621547520n, 0n, 622329856n],
    ['Qwen3-30B-A3B', 8192, 0, 14843406974976n, 26391500292096n, 29892972380160n, 0n, 622329856n],
    ['Qwen3-30B-A3B', 1024, 7168, 1855425871872n, 6185155559424n, 3736621547520n, 0n, 622329856n],
    ['Qwen3-30B-A3B', 1, 8192, 1811939328n, 6443237376n, 3649044480n, 0n, 622329856n],
    ['Llama-4-Scout-17B-16E', 1024, 0, 6184752906240n, 515899392000n, 24747064688640n, 0n, 2068971520n],
    ['Llama-4-Scout-17B-16E', 8192, 0, 49478023249920n, 32989375365120n, 197976517509120n, 0n, 2068971520n],
    ['Llama-4-Scout-17B-16E', 1024, 7168, 6184752906240n, 7731444449280n, 24747064688640n, 0n, 2068971520n],
    ['Llama-4-Scout-17B-16E', 1, 8192, 6039797760n, 2014248960n, 24167055360n, 0n, 2068971520n],
    ['Nemotron-3-Nano-30B-A3B', 1024, 0, 2110758322176n, 51589939200n, 3776182222848n, 87593844736n, 704643072n],
    ['Nemotron-3-Nano-30B-A3B', 8192, 0, 16886066577408n, 3298937536512n, 30209457782784n, 700750757888n, 704643072n],
    ['Nemotron-3-Nano-30B-A3B', 1024, 7168, 2110758322176n, 773144444928n, 3776182222848n, 87593844736n, 704643072n],
    ['Nemotron-3-Nano-30B-A3B', 1, 8192, 2061287424n, 805404672n, 3687677952n, 85540864n, 704643072n],
    ['Qwen3.5-397B-A17B', 1024, 0, 14092861440000n, 257949696000n, 17266271846400n, 391076904960n, 2034237440n],
    ['Qwen3.5-397B-A17B', 8192, 0, 112742891520000n, 16494687682560n, 138130174771200n, 3128615239680n, 2034237440n],
    ['Qwen3.5-397B-A17B', 1024, 7168, 14092861440000n, 3865722224640n, 17266271846400n, 391076904960n, 2034237440n],
    ['Qwen3.5-397B-A17B', 1, 8192, 13762560000n, 4027023360n, 16861593600n, 381911040n, 2034237440n],
  ];

  it.each(rows)(
    '%s: %i new on %i cached',
    (name, newTokens, cachedTokens, projections, core, networks, state, logits) => {
      const flops = flopsByComponent(compiled(name), {
        newTokens,
        cachedTokens,
        logits: 'last',
        phase: newTokens > 1 ? 'prefill' : 'decode',
        latent: 'convention',
      });
      expect(flops.attention_projections).toBe(projections);
      expect(flops.attention_core).toBe(core);
      expect(flops.ffn + flops.routed_experts + flops.shared_experts + flops.router).toBe(networks);
      expect(flops.state_space).toBe(state);
      expect(flops.logits).toBe(logits);
      expect(flops.total).toBe(projections + core + networks + state + logits);
    },
  );
});

describe('forward passes in the convention of the tool that published them (calflops, 128 tokens)', () => {
  const all = FLOP_CONVENTIONS['calflops-macs'];
  const headless: FlopConvention = { ...all, logits: 'none' };
  const rows: readonly (readonly [string, FlopConvention, number])[] = [
    ['Bloom-1b7', { ...headless, attentionMatmuls: 1 }, 155.42e9],
    ['Baichuan-7B', all, 866.78e9],
    ['ChatGLM2-6B', all, 768.8e9],
    ['Pythia-1.4B', headless, 156.23e9],
    ['Pythia-12B', headless, 1455.59e9],
    ['MOSS-Moon-003', all, 2062.39e9],
    ['hfl/chinese-roberta-wwm-ext', headless, 11.174e9],
  ];

  it.each(rows)('%s within 0.01 %%', (name, convention, published) => {
    const macs = flopsInConvention(compiled(name), { newTokens: 128, cachedTokens: 0 }, convention);
    expect(Math.abs(Number(macs) / published - 1)).toBeLessThan(1e-4);
  });

  it('Qwen3-30B-A3B decode at 5,120 context (InferSim: no head, no router)', () => {
    const model = compiled('Qwen3-30B-A3B');
    const flops = flopsByComponent(model, {
      newTokens: 1,
      cachedTokens: 5119,
      logits: 'none',
      phase: 'decode',
      latent: 'convention',
    });
    const giga = (value: bigint): string => (Number(value) / 1e9).toFixed(2);
    expect(giga(flops.attention_core)).toBe('4.03');
    expect(giga(flops.routed_experts)).toBe('3.62');
    expect(giga(flops.attention_projections)).toBe('1.81');
    expect(giga(flops.total - flops.router)).toBe('9.46');
    expect(kvBytesPerToken(model, 'bf16')).toBe(98304);
    expect(model.moe[0]?.expertWeights).toBe(9437184 / 2);
  });

  it('DeepSeek trains at 250.5 GFLOP a token at 4,096 tokens (V3, published 250)', () => {
    const flops = flopsInConvention(
      compiled('DeepSeek-V3'),
      { newTokens: 4096, cachedTokens: 0 },
      FLOP_CONVENTIONS['megatron-lm'],
    );
    expect((3 * Number(flops)) / 4096 / 1e9).toBeCloseTo(250.5, 0);
  });

  it('DeepSeek-V3 decodes at 158 GFLOP a token at 4,989 context, 85 of them absorbed attention, and 73 at none', () => {
    const pass = { newTokens: 1, logits: 'last', phase: 'decode', latent: 'convention' } as const;
    const long = flopsByComponent(compiled('DeepSeek-V3'), { ...pass, cachedTokens: 4989 });
    expect(Math.round(Number(long.total) / 1e9)).toBe(158);
    expect(Math.round(Number(long.attention_core) / 1e9)).toBe(85);
    expect(Math.round(Number(long.total - long.attention_core) / 1e9)).toBe(73);
  });
});

describe('parameters of the catalog against what is published', () => {
  const EXACT = [
    'Llama-2-7B',
    'Bloom-1b7',
    'Baichuan-7B',
    'ChatGLM2-6B',
    'MOSS-Moon-003',
    'Pythia-1.4B',
    'Pythia-12B',
    'Llama-3.1-70B',
    'Llama-3-8B',
    'Flan-T5-XL',
    'BERT-base (no pooler)',
  ];
  it.each(EXACT)('%s to the parameter', (name) => {
    expect(Number(parameters(compiled(name)).total)).toBe(findModel(name)?.published.totalParams);
  });

  // Published to three digits or fewer, or of another part of the model, as each row's note or source says.
  const LOOSE: Readonly<Record<string, number>> = {
    'Llama-4-Scout-17B-16E': 0.012, // with the vision tower
    'OLMo-3-7B': 0.05,
    'Kimi-K2': 0.03, // 1.04T is quoted elsewhere
    'Kimi-K2.5': 0.03,
    'Llama-3.3-Nemotron-Super-49B': 0.02,
    'Llama-2-70B': 0.016,
    'Yi-34B': 0.012,
    'Qwen3-1.7B': 0.013,
  };

  const counted = MODELS.filter(
    (model) => readModelConfig(model.config).kind === 'known' && model.published.totalParams !== null,
  );

  it('holds at least 50 models, every one known or explained', () => {
    expect(counted.length).toBeGreaterThanOrEqual(50);
  });

  it.each(MODELS.map((model) => [model.name, model.configSource] as const))(
    '%s: its config can be read again where its source says',
    (_name, source) => {
      // owner/repository, host/repository or a package's file: never somebody's memory.
      expect(source).toMatch(/(^|[ (])[\w.-]+\/[\w.-]+/);
    },
  );

  it.each(counted.map((model) => [model.name, model] as const))('%s', (name, model) => {
    const published = model.published.totalParams ?? 0;
    const error = Math.abs(Number(parameters(compiled(name)).total) / published - 1);
    // Unrounded counts have more than four significant digits.
    const isRounded = Number(published.toPrecision(4)) === published;
    expect(error).toBeLessThan(LOOSE[name] ?? (isRounded ? 0.011 : 5e-4));
  });

  it.each([
    ['gpt-oss-120b', 5.13],
    ['gpt-oss-20b', 3.61],
    ['Nemotron-3-Nano-30B-A3B', 3.2],
    ['DeepSeek-V3', 36.6],
  ])('%s active without the embedding: %f billion', (name, billions) => {
    const digits = String(billions).split('.')[1]?.length ?? 0;
    expect((Number(parameters(compiled(name)).activeWithoutEmbedding) / 1e9).toFixed(digits)).toBe(
      billions.toFixed(digits),
    );
  });
});

describe('bytes', () => {
  it('gpt-oss-120b: 60.8 GiB, only its experts in MXFP4', () => {
    const format = readWeightFormat({
      quantization_config: {
        quant_method: 'mxfp4',
        modules_to_not_convert: [
          'model.layers.*.self_attn',
          'model.layers.*.mlp.router',
          'model.embed_tokens',
          'lm_head',
        ],
      },
    });
    expect(format.routed_experts).toBe('mxfp4');
    expect(format.attention).toBe('bf16');
    expect(Math.abs(Number(checkpointBytes(compiled('gpt-oss-120b'), format)) / 2 ** 30 / 60.8 - 1)).toBeLessThan(
      0.002,
    );
  });

  it('Llama-2-7B in bf16 is two bytes a parameter', () => {
    expect(checkpointBytes(compiled('Llama-2-7B'), weightFormat('bf16'))).toBe(2n * 6738415616n);
  });

  it.each([
    ['DeepSeek-V3', 'bf16', 61 * 576 * 2],
    ['Llama-3.1-70B', 'bf16', 80 * 2 * 8 * 128 * 2],
    ['Llama-3.1-8B', 'fp8', 32 * 2 * 8 * 128],
    ['DeepSeek-V3.2', 'bf16', 61 * (576 * 2 + 128)],
    ['MiMo-V2-Flash', 'bf16', (9 * 4 + 39 * 8) * (192 + 128) * 2],
  ] as const)('%s keeps %s cache', (name, dtype, bytes) => {
    expect(kvBytesPerToken(compiled(name), dtype)).toBe(bytes);
  });

  it('a window stops the cache from growing', () => {
    const model = compiled('gpt-oss-120b');
    const per = 2 * 8 * 64 * 2;
    expect(cacheBytes(model, 1000, 'bf16')).toBe(18 * per * 1000 + 18 * per * 128);
  });

  it('Qwen3-Next keeps 36 states of 32 x 128 x 128 floats and three rows of convolution', () => {
    expect(compiled('Qwen3-Next-80B-A3B').stateBytes).toBe(36 * (32 * 128 * 128 * 4 + 8192 * 3 * 2));
  });
});

describe('families without a tested rule answer an interval and name what they could not read', () => {
  it.each([
    ['DeepSeek-V4-Flash', 'compress_ratios'],
    ['Kimi-K3', 'routed_expert_hidden_size'],
    ['MiniMax-M3', 'sparse_attention_config'],
  ])('%s: %s', (name, key) => {
    const model = findModel(name);
    const reading = readModelConfig(model?.config);
    if (reading.kind !== 'bounded') throw new Error(`${name} was ${reading.kind}`);
    expect(reading.unread).toContain(key);
    const total = Number(parameters(compileModel(reading.proxy)).total);
    expect(model?.published.totalParams).toBeGreaterThan(total * reading.factor.low);
    expect(model?.published.totalParams).toBeLessThan(total * reading.factor.high);
  });

  it.each([
    [
      'gpt-oss-120b',
      { experts_per_token: 4, initial_context_length: 4096, swiglu_limit: 7, rope_scaling: { factor: 32 } },
    ],
    ['MiniMax-M2.5', { attn_type_list: Array.from({ length: 62 }, () => 1), use_routing_bias: true, rotary_dim: 64 }],
    ['Llama-4-Scout-17B-16E', { no_rope_layers: Array.from({ length: 48 }, () => 1), attn_temperature_tuning: true }],
    ['MiMo-V2-Flash', { add_swa_attention_sink_bias: true, attention_value_scale: 0.707, sliding_window_size: 128 }],
    ['GLM-5', { indexer_rope_interleave: true, topk_method: 'noaux_tc', n_group: 1, ep_size: 1 }],
    [
      'Nemotron-3-Nano-30B-A3B',
      { num_logits_to_keep: 1, time_step_floor: 1e-4, use_mamba_kernels: true, chunk_size: 128 },
    ],
    ['Gemma-3-27B', { rope_local_base_freq: 10000, query_pre_attn_scalar: 168, cache_implementation: 'hybrid' }],
  ])('%s: keys of the published config that size nothing leave it a point', (name, extra) => {
    expect(readModelConfig({ ...findModel(name)?.config, ...extra }).kind).toBe('known');
  });

  it('an unknown key that sizes something turns a point into an interval', () => {
    const config = { ...findModel('Qwen3-8B')?.config, block_sparse_stride: 4 };
    const reading = readModelConfig(config);
    expect(reading.kind === 'bounded' && reading.unread).toEqual(['block_sparse_stride']);
  });

  it('a config without sizes is refused by name', () => {
    expect(readModelConfig({ model_type: 'llama', hidden_size: 4096 })).toEqual({
      kind: 'unreadable',
      missing: ['num_attention_heads', 'num_hidden_layers', 'vocab_size'],
    });
    expect(readModelConfig('llama').kind).toBe('unreadable');
  });

  it.each([
    ['Llama-3.1-8B', { num_key_value_heads: -8 }],
    ['Llama-3.1-8B', { num_hidden_layers: 0 }],
    ['Llama-3.1-8B', { head_dim: 0.5 }],
    ['Llama-3.1-8B', { layer_types: Array.from({ length: 32 }, () => 'chunked_attention'), attention_chunk_size: 0 }],
    ['gpt-oss-120b', { sliding_window: -1 }],
    ['Qwen3-30B-A3B', { num_experts: -128 }],
    ['Qwen3-30B-A3B', { num_experts_per_tok: 129 }],
  ])('%s with a size that no model has is refused, not counted: %j', (name, extra) => {
    const reading = readModelConfig({ ...findModel(name)?.config, ...extra });
    expect(() => reading.kind === 'known' && compileModel(reading.spec)).toThrow('assertion failed');
  });

  it('a nested text config reads as the language model alone', () => {
    const text = { ...findModel('Qwen3-8B')?.config, model_type: 'qwen3_vl_text' };
    const reading = readModelConfig({ model_type: 'qwen3_vl', text_config: text, vision_config: { depth: 27 } });
    expect(reading.kind === 'known' && reading.assumptions).toEqual(['the vision tower is not part of these counts']);
  });
});

describe('encoder-decoders and encoders', () => {
  it('Whisper: the encoder runs once, cross keys and values are projected once a request', () => {
    const model = compiled('Whisper-large-v3');
    expect(encoderFlops(model, 1500)).toBe(
      32n * (1500n * 2n * (4n * 1280n * 1280n + 2n * 1280n * 5120n) + 4n * 1280n * 1500n * 1500n),
    );
    const pass = {
      newTokens: 1,
      cachedTokens: 10,
      logits: 'last',
      phase: 'decode',
      latent: 'convention',
      encoderTokens: 1500,
    } as const;
    const later = flopsByComponent(model, pass);
    const first = flopsByComponent(model, { ...pass, projectEncoder: true });
    expect(first.total - later.total).toBe(32n * 2n * 1280n * 2n * 1280n * 1500n);
    expect(later.attention_core).toBe(32n * 4n * 1280n * (11n + 1500n));
  });

  it('Whisper: a request is its encoder, the cross projections and every step over the audio', () => {
    const model = compiled('Whisper-large-v3');
    const pass = { logits: 'last', phase: 'decode', latent: 'convention', encoderTokens: 1500 } as const;
    const work = countFlops(model, { newTokens: 4, cachedTokens: 0, outputTokens: 3, encoderTokens: 1500 });
    const first = flopsByComponent(model, { ...pass, newTokens: 4, cachedTokens: 0, projectEncoder: true });
    expect(work.prefill).toBe(encoderFlops(model, 1500) + first.total);
    const steps = [4, 5].map((cachedTokens) => flopsByComponent(model, { ...pass, newTokens: 1, cachedTokens }).total);
    expect(work.decode).toBe(steps.reduce((sum, step) => sum + step, 0n));
  });

  it('an embedding model computes no logits', () => {
    const model = compiled('Qwen3-Embedding-8B');
    expect(model.logitsPerPosition).toBe(0);
    expect(countFlops(model, { newTokens: 10, cachedTokens: 0, outputTokens: 1 }).decode).toBe(0n);
  });
});

describe('errors found in peers stay theirs (reference, 4.5)', () => {
  const gqa = compiled('Llama-3.1-8B');
  const decodeAt = (model: CompiledModel, cachedTokens: number) =>
    flopsByComponent(model, { newTokens: 1, cachedTokens, logits: 'last', phase: 'decode', latent: 'convention' });

  it('LLM-Viewer: the head has its factor of two', () => {
    expect(decodeAt(gqa, 0).logits).toBe(2n * 4096n * 128256n);
  });
  it('LLM-Viewer: a decode step reads the cache of key-value heads, not of query heads', () => {
    expect(kvBytesPerToken(gqa, 'bf16')).toBe(32 * 8 * 2 * 128 * 2);
  });
  it('LLM-Viewer, Vidur: attention is the causal triangle, not the rectangle', () => {
    const core = flopsByComponent(gqa, {
      newTokens: 100,
      cachedTokens: 0,
      logits: 'last',
      phase: 'prefill',
      latent: 'convention',
    });
    expect(core.attention_core).toBe(32n * 4n * 4096n * 5050n);
  });
  it('llm-analysis: decode FLOPs grow with context', () => {
    expect(decodeAt(gqa, 8191).attention_core).toBe(8192n * decodeAt(gqa, 0).attention_core);
  });
  it('a shared expert of size 0 has no gate either (Qwen3-Coder)', () => {
    expect(decodeAt(compiled('Qwen3-Coder-480B-A35B'), 0).shared_experts).toBe(0n);
    expect(decodeAt(compiled('Qwen3-Next-80B-A3B'), 0).shared_experts).toBe(48n * (6n * 2048n * 512n + 2n * 2048n));
  });
  it('Vidur, InferSim: every token that is put out pays for its logits', () => {
    const work = { newTokens: 10, cachedTokens: 0, outputTokens: 3 };
    const headless = compileModel({ ...gqa.spec, head: 'none' });
    expect(countFlops(gqa, work).total - countFlops(headless, work).total).toBe(3n * 2n * 4096n * 128256n);
  });
  it('InferSim: router and first dense layers count', () => {
    const deepseek = decodeAt(compiled('DeepSeek-V3'), 0);
    expect(deepseek.router).toBe(58n * 2n * 7168n * 256n);
    expect(deepseek.ffn).toBe(3n * 6n * 7168n * 18432n);
  });
  it('Megatron: the inner size of a Mamba layer is heads x head size, not twice hidden', () => {
    const spec = compiled('Nemotron-3-Nano-30B-A3B').spec;
    const mamba = spec.layers.find((run) => run.layer.mixer.kind === 'mamba2')?.layer.mixer;
    expect(mamba?.kind === 'mamba2' && mamba.heads * mamba.headDim).toBe(4096);
  });
  it('Vidur, InferSim: peaks are decimal, no 2^40 and no 1,024; web pages: peaks are dense', () => {
    expect(findAccelerator('h100-sxm')?.peak).toEqual({ bf16: 989e12, fp8: 1979e12, fp4: null, int8: 1979e12 });
    expect(findAccelerator('h100-sxm')?.memoryBytes).toBe(80e9);
    for (const { peak } of ACCELERATORS) expect((peak.fp8 ?? 0) / peak.bf16).toBeLessThan(2.1);
  });
  it('GenZ: Gemma-3-12B has its own dimensions, which count to its published total', () => {
    expect(Math.abs(Number(parameters(compiled('Gemma-3-12B')).total) / 11.766e9 - 1)).toBeLessThan(5e-4);
  });
  it('EcoLogits: active parameters are not total / experts, and prompt tokens cost work', () => {
    const { total, active } = parameters(compiled('Mixtral-8x7B'));
    expect(Number(active)).toBeGreaterThan(Number(total) / 4);
    const none = countFlops(gqa, { newTokens: 1, cachedTokens: 0, outputTokens: 10 }).total;
    expect(countFlops(gqa, { newTokens: 1000, cachedTokens: 0, outputTokens: 10 }).total).toBeGreaterThan(50n * none);
  });
});
