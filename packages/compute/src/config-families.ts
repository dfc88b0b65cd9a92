/**
 * What a model family fixes outside its `config.json`: norms, biases and defaults that live in its code. Each row is
 * proved by a parameter count in the tests.
 */
export type FamilyTraits = {
  readonly gated: boolean;
  /** Norms of size `hidden` in a layer, and whether they carry a bias. */
  readonly norms: number;
  readonly normBias: boolean;
  /** `head`: one vector for queries and one for keys of a head's size; `full`: of all heads' size. */
  readonly queryKeyNorm: 'none' | 'head' | 'full' | 'when_told';
  /** Biases: `when_told` follows attention_bias and mlp_bias. */
  readonly queryKeyValueBias: boolean | 'when_told';
  readonly outputBias: boolean | 'when_told';
  readonly ffnBias: boolean | 'when_told';
  readonly tied: boolean;
  /** Windows where the config has no `layer_types`. */
  readonly windows: 'none' | 'all' | 'when_told' | 'even' | 'gemma3' | 'every_fourth_full' | 'llama4' | 'mimo';
  readonly routerBias: boolean;
};

const LLAMA: FamilyTraits = {
  gated: true,
  norms: 2,
  normBias: false,
  queryKeyNorm: 'none',
  queryKeyValueBias: 'when_told',
  outputBias: 'when_told',
  ffnBias: 'when_told',
  tied: false,
  windows: 'none',
  routerBias: false,
};
const QWEN3: FamilyTraits = { ...LLAMA, queryKeyNorm: 'head', windows: 'when_told' };
const QWEN2: FamilyTraits = { ...LLAMA, queryKeyValueBias: true, outputBias: false, windows: 'when_told' };
const GEMMA2: FamilyTraits = { ...LLAMA, norms: 4, tied: true, windows: 'even' };
const DEEPSEEK: FamilyTraits = { ...LLAMA, routerBias: true };
const CLASSIC: FamilyTraits = {
  ...LLAMA,
  gated: false,
  normBias: true,
  queryKeyValueBias: true,
  outputBias: true,
  ffnBias: true,
  tied: true,
};

export const FAMILIES: Readonly<Record<string, FamilyTraits>> = {
  llama: LLAMA,
  baichuan: LLAMA,
  internlm2: LLAMA,
  granite: { ...LLAMA, tied: true },
  phi3: { ...LLAMA, windows: 'all' },
  mistral: { ...LLAMA, windows: 'all' },
  ministral3: { ...LLAMA, windows: 'all' },
  mixtral: { ...LLAMA, windows: 'all' },
  chatglm: { ...LLAMA, queryKeyValueBias: true, outputBias: false },
  qwen2: QWEN2,
  qwen2_vl_text: QWEN2,
  qwen2_5_vl_text: QWEN2,
  qwen2_moe: QWEN2,
  qwen3: QWEN3,
  qwen3_vl_text: QWEN3,
  qwen3_moe: QWEN3,
  qwen3_vl_moe_text: QWEN3,
  qwen3_next: QWEN3,
  qwen3_5_text: QWEN3,
  qwen3_5_moe_text: QWEN3,
  gemma: { ...LLAMA, tied: true },
  gemma2: GEMMA2,
  gemma3_text: { ...GEMMA2, queryKeyNorm: 'head', windows: 'gemma3' },
  gemma4_text: { ...GEMMA2, queryKeyNorm: 'head', windows: 'gemma3' },
  cohere: { ...LLAMA, norms: 1, tied: true },
  cohere2: { ...LLAMA, norms: 1, tied: true, windows: 'every_fourth_full' },
  starcoder2: { ...CLASSIC, windows: 'all' },
  olmo2: { ...LLAMA, queryKeyNorm: 'full' },
  olmo3: { ...LLAMA, queryKeyNorm: 'full', windows: 'every_fourth_full' },
  olmoe: { ...LLAMA, queryKeyNorm: 'full' },
  dbrx: LLAMA,
  llama4_text: { ...LLAMA, windows: 'llama4' },
  gpt_oss: { ...LLAMA, queryKeyValueBias: true, outputBias: true, ffnBias: true, windows: 'even', routerBias: true },
  glm4: { ...LLAMA, norms: 4, queryKeyValueBias: true, outputBias: false },
  glm4_moe: { ...LLAMA, queryKeyNorm: 'when_told', outputBias: false, routerBias: true },
  minimax_m2: { ...LLAMA, queryKeyNorm: 'full', routerBias: true },
  mimo_v2_flash: { ...LLAMA, windows: 'mimo', routerBias: true },
  step3p5: { ...LLAMA, queryKeyNorm: 'head', routerBias: true },
  step3p7: { ...LLAMA, queryKeyNorm: 'head', routerBias: true },
  deepseek_v2: LLAMA,
  deepseek_v3: DEEPSEEK,
  deepseek_v32: DEEPSEEK,
  kimi_k2: DEEPSEEK,
  glm_moe_dsa: DEEPSEEK,
  glm4_moe_lite: DEEPSEEK,
  nemotron_h: { ...LLAMA, gated: false, norms: 1, routerBias: true },
  'nemotron-nas': LLAMA,
  deci: LLAMA,
  gpt2: CLASSIC,
  gpt3: CLASSIC,
  bloom: CLASSIC,
  gpt_neox: { ...CLASSIC, tied: false },
  codegen: { ...CLASSIC, norms: 1, queryKeyValueBias: false, outputBias: false, tied: false },
  gptj: { ...CLASSIC, norms: 1, queryKeyValueBias: false, outputBias: false, tied: false },
  bert: CLASSIC,
  roberta: CLASSIC,
  'xlm-roberta': CLASSIC,
};

/** Wrappers whose language model is nested under another name, and families told apart by another name for the same code. */
export const FAMILY_ALIASES: Readonly<Record<string, string>> = {
  Baichuan: 'baichuan',
  gemma3: 'gemma3_text',
  gemma4: 'gemma4_text',
  llama4: 'llama4_text',
  qwen3_5: 'qwen3_5_text',
  qwen3_5_moe: 'qwen3_5_moe_text',
  qwen2_vl: 'qwen2',
  qwen2_5_vl: 'qwen2',
  kimi_k25: 'kimi_k2',
  qwen3_vl_moe: 'qwen3_vl_moe_text',
  qwen3_vl: 'qwen3_vl_text',
  moss: 'codegen',
  nemotron_nas: 'nemotron-nas',
};
