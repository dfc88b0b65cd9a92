import { describe, expect, it } from 'vitest';
import {
  compileModel,
  findModel,
  FLOP_CONVENTIONS,
  flopsByComponent,
  flopsInConvention,
  parameters,
  readModelConfig,
} from './index.ts';
import oracle from './torch-rows.test-support.json' with { type: 'json' };

/**
 * What Hugging Face transformers builds from the same configs, and what torch.utils.flop_counter counts in one pass of 128 tokens
 * through it (scripts/oracle/count_with_torch.py): an oracle that shares no code with us. Counts must be equal as integers; where
 * they are not, the row stands here with the reason.
 */
const OUTSIDE_PARAMETERS: Readonly<Record<string, string>> = {
  // We count the selection bias of the router, a weight of the checkpoint; transformers holds it as a buffer.
  'DeepSeek-V3': '-14848',
  'DeepSeek-V3.2': '-14848',
  'DeepSeek-R1': '-14848',
  'GLM-5': '-19200',
  'MiniMax-M2.5': '-15872',
  'MiMo-V2-Flash': '-12032',
  'Nemotron-3-Nano-30B-A3B': '-2944',
  'Nemotron-3-Ultra-550B-A55B': '-24576',
  'GLM-4.7-Flash': '-2944',
  'GLM-4.5': '-14240',
  'GLM-4.5-Air': '-5760',
  // One scalar a layer, a buffer there.
  'Gemma-4-26B-A4B': '-30',
};

/** Built there as something else than the language model that we count. */
const NOT_THE_SAME: Readonly<Record<string, string>> = {
  'BERT-base (no pooler)': 'with a language head and a pooler',
  'Whisper-large-v3': 'its decoder alone',
  'Flan-T5-XL': 'with a tied head, which this checkpoint does not tie',
  'Qwen3-Embedding-8B': 'with a head',
  'Kimi-K2.5': 'defaults of another text model',
  'Step-3.7-Flash': 'with its vision tower',
};

/** Passes that are counted by another algorithm there: FLOPs differ by what the reason says. */
const OTHER_PASS: Readonly<Record<string, string>> = {
  'Llama-4-Scout-17B-16E': 'every expert sees every token there',
  'Llama-4-Maverick-17B-128E': 'every expert sees every token there',
  'DeepSeek-V3.2': 'sparse attention: naive there, absorbed here',
  'GLM-5': 'sparse attention: naive there, absorbed here',
  'Qwen3-Next-80B-A3B': 'delta rule in chunks there, as a recurrence here',
  'Qwen3.5-27B': 'delta rule in chunks there, as a recurrence here',
  'Qwen3.5-35B-A3B': 'delta rule in chunks there, as a recurrence here',
  'Qwen3.5-397B-A17B': 'delta rule in chunks there, as a recurrence here',
  'Nemotron-3-Nano-30B-A3B': 'state space in chunks there, as a recurrence here',
  'Nemotron-3-Ultra-550B-A55B': 'state space in chunks there; projections of latent experts among the experts here',
  'Nemotron-H-56B': 'state space in chunks there, as a recurrence here',
};

const rows = oracle.rows.flatMap((row) => {
  const reading = readModelConfig(findModel(row.model)?.config);
  if (reading.kind !== 'known' || row.parameters === null || row.model in NOT_THE_SAME) return [];
  return [{ ...row, parameters: row.parameters, model: compileModel(reading.spec), name: row.model }];
});

describe(`torch ${oracle.torch} with transformers ${oracle.transformers}`, () => {
  it('knows most of the catalog', () => {
    expect(rows.length).toBeGreaterThanOrEqual(65);
    const known = new Set(oracle.rows.map((row) => row.model));
    for (const name of [OUTSIDE_PARAMETERS, NOT_THE_SAME, OTHER_PASS].flatMap(Object.keys))
      expect(known).toContain(name);
  });

  it.each(rows)('$name has the same parameters', ({ name, model, parameters: counted }) => {
    expect(String(BigInt(counted) - parameters(model).total)).toBe(OUTSIDE_PARAMETERS[name] ?? '0');
  });

  const passes = rows.filter((row) => row.flops !== null && !(row.name in OTHER_PASS));

  it('counts the pass of most of them', () => expect(passes.length).toBeGreaterThanOrEqual(55));

  it.each(passes)('$name does the same multiplications, routed experts apart', ({ model, flops }) => {
    const pass = { newTokens: oracle.tokens, cachedTokens: 0 };
    const ours = flopsInConvention(model, pass, FLOP_CONVENTIONS['torch-flop-counter']);
    const { routed_experts } = flopsByComponent(model, {
      ...pass,
      logits: 'all',
      phase: 'prefill',
      latent: 'convention',
    });
    // Grouped matrices are not counted on the meta device, so a mixture of experts is compared without them.
    expect(String(ours - routed_experts)).toBe(flops);
  });

  it('a recurrence differs from its chunks by at most half a percent of the pass', () => {
    for (const name of ['Qwen3.5-27B', 'Nemotron-H-56B']) {
      const row = rows.find((one) => one.name === name);
      if (row?.flops === undefined || row.flops === null) throw new Error(`${name} has no counted pass`);
      const pass = { newTokens: oracle.tokens, cachedTokens: 0 };
      const ours = flopsInConvention(row.model, pass, FLOP_CONVENTIONS['torch-flop-counter']);
      expect(Math.abs(Number(row.flops) / Number(ours) - 1)).toBeLessThan(0.005);
    }
  });
});
