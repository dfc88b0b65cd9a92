/** A `config.json`, remembering which keys were read, so that the ones nobody understood can be named. */
export type ConfigKeys = {
  readonly number: (...names: readonly string[]) => number | undefined;
  readonly flag: (name: string) => boolean | undefined;
  readonly text: (name: string) => string | undefined;
  readonly list: (name: string) => readonly unknown[] | undefined;
  readonly object: (name: string) => Readonly<Record<string, unknown>> | undefined;
  /** A whole number that the architecture cannot do without; 0 and a note in `missing` where it is absent. */
  readonly required: (...names: readonly string[]) => number;
  readonly missing: readonly string[];
  /** Keys that were never read and could change a shape. */
  readonly unread: () => string[];
};

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function configKeys(config: Readonly<Record<string, unknown>>): ConfigKeys {
  const seen = new Set<string>();
  const missing: string[] = [];
  const read = (name: string): unknown => {
    seen.add(name);
    return config[name];
  };
  const number = (...names: readonly string[]): number | undefined => {
    // Every alias counts as read: configs often carry two spellings of one number.
    const found = names.map(read).find((value) => typeof value === 'number' && Number.isFinite(value));
    return typeof found === 'number' ? found : undefined;
  };
  return {
    number,
    missing,
    flag: (name) => {
      const value = read(name);
      return typeof value === 'boolean' ? value : undefined;
    },
    text: (name) => {
      const value = read(name);
      return typeof value === 'string' ? value : undefined;
    },
    list: (name) => {
      const value = read(name);
      return Array.isArray(value) ? value : undefined;
    },
    object: (name) => {
      const value = read(name);
      return isRecord(value) ? value : undefined;
    },
    required: (...names) => {
      const value = number(...names);
      if (value !== undefined && Number.isSafeInteger(value) && value > 0) return value;
      missing.push(names[0] ?? '?');
      return 0;
    },
    unread: () => Object.keys(config).filter((name) => !seen.has(name) && changesShapes(name, config[name])),
  };
}

// Keys of transformers' base config and of training, decoding and numerics: none of them sizes a matrix.
const HARMLESS =
  /^(_|architectures$|auto_map$|rope_|rotary_|partial_rotary|max_|min_|use_cache|torch_dtype$|dtype$|hidden_act|activation|mlp_hidden_act|id2label|label2id|transformers_version|pretraining_tp|quantization_config$|compression_config$|vision_|image_|video_|audio_|moe_router|router_(?!dim)|routed_scaling|norm_topk|topk_(?!block)|n_group$|scoring|seq_aux|attn_logit|final_logit|query_pre_attn|attn_scale|attn_temperature|floor_scale|sliding_window$|attention_(multiplier|dropout)|embedding_multiplier|logits_|residual_|initial|cache_implementation|task_specific|time_step|mamba_(ssm|proj|hidden)|chunk_size|rescale|sep_|problem_type|is_|output_(?!dim)|gradient|classifier|num_labels|position_embedding_type|use_bidirectional|apply_|scale_|layer_norm|norm_eps|rmsnorm|clip_qkv$|summary|gpt_|use_(rms|mamba|parallel|sliding|scaled|rotary|logits|flash)|mtp_|num_nextn|num_mtp|nextn|num_ln_in_parallel|vocab_size_per_layer|special|suppress|median|decoder_start|forced|mask_|begin_|dense_act_fn|feed_forward_proj|use_thinking|ep_size|aux_|expert_dtype$|original_max|long_|new_decoder|swiglu_limit|window_attn_skip|num_kv_shared_layers$|initial_context|num_logits_to_keep$|offset_alibi$|skip_bias|masked_softmax|seq_length$|post_layer_norm$|original_rope$|interleaved_qkv$|fp32_|bias_dropout|quantization_bit$|scale_|wbits$|groupsize$|pooler_|output_past$|for_llm|no_rope_layers?$|sliding_window_(pattern|size)$|index(er)?_rope|attn_window_size$|layernorm_|use_routing_bias$|swa_rope|attention_value_scale$|add_(swa|full)_attention_sink|hybrid_block_size$|logit_|use_gated_activation$|layer_switch$|use_bias$|model_max_length$|slow_but_exact$|directionality$|tokenizer)|_token_id$|_token_index$|_eps$|_epsilon$|dropout|_pdrop$|_std$|_range$|_coef$|_factor$|_theta$|_softcap(ping)?$|layerdrop|_loss|_prob$/;

function changesShapes(name: string, value: unknown): boolean {
  if (value === null || value === false || value === 0 || typeof value === 'string') return false;
  if (Array.isArray(value) && value.length === 0) return false;
  return !HARMLESS.test(name);
}
