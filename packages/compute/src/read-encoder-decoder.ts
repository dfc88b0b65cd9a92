import { configKeys } from './config-keys.ts';
import type { ModelReading } from './model-reading.ts';
import type { AttentionMixer, LayerSpec, ModelSpec } from './model-spec.ts';

type Tower = {
  readonly hidden: number;
  readonly layers: number;
  readonly heads: number;
  readonly headDim: number;
  readonly inner: number;
  readonly gated: boolean;
  /** Whisper's linear layers have biases, but not its keys; T5's have none. */
  readonly hasBias: boolean;
};

/** Whisper and T5: an encoder that runs once and a decoder that also attends over its output. */
export function readEncoderDecoder(
  family: string,
  config: Readonly<Record<string, unknown>>,
): ModelReading | undefined {
  if (family !== 'whisper' && family !== 't5') return undefined;
  const keys = configKeys(config);
  const isWhisper = family === 'whisper';
  const hidden = keys.required('d_model');
  const vocabulary = keys.required('vocab_size');
  const gated = keys.text('feed_forward_proj')?.startsWith('gated') ?? false;
  const tower = (side: 'encoder' | 'decoder'): Tower => {
    const heads = isWhisper ? keys.required(`${side}_attention_heads`) : keys.required('num_heads');
    return {
      hidden,
      heads,
      layers: isWhisper
        ? keys.required(`${side}_layers`)
        : ((side === 'decoder' ? keys.number('num_decoder_layers') : undefined) ?? keys.required('num_layers')),
      headDim: isWhisper ? hidden / (heads || 1) : keys.required('d_kv'),
      inner: isWhisper ? keys.required(`${side}_ffn_dim`) : keys.required('d_ff'),
      gated,
      hasBias: isWhisper,
    };
  };
  const buckets = isWhisper ? 0 : (keys.number('relative_attention_num_buckets') ?? 32);
  const encoderTower = tower('encoder');
  const decoderTower = tower('decoder');
  const mels = isWhisper ? (keys.number('num_mel_bins') ?? 80) : 0;
  const frontEnd = isWhisper
    ? 3 * mels * hidden + hidden + 3 * hidden * hidden + hidden + (keys.number('max_source_positions') ?? 1500) * hidden
    : buckets * encoderTower.heads;
  const norm = isWhisper ? 2 * hidden : hidden;
  const encoder: ModelSpec = {
    family,
    hidden,
    vocabulary: 0,
    head: 'none',
    layers: [{ layer: towerLayer(encoderTower, false), count: encoderTower.layers }],
    loose: frontEnd + norm,
    pooler: 0,
  };
  const positions = isWhisper ? (keys.number('max_target_positions') ?? 448) * hidden : buckets * decoderTower.heads;
  const spec: ModelSpec = {
    family,
    hidden,
    vocabulary,
    head: keys.flag('tie_word_embeddings') === false ? 'separate' : 'tied',
    layers: [{ layer: towerLayer(decoderTower, true), count: decoderTower.layers }],
    loose: positions + norm,
    pooler: 0,
    encoder,
  };
  if (keys.missing.length > 0) return { kind: 'unreadable', missing: keys.missing };
  const front = isWhisper ? ["the audio front end's two convolutions are parameters here, not FLOPs"] : [];
  return { kind: 'known', spec, assumptions: front };
}

function towerLayer(tower: Tower, isDecoder: boolean): LayerSpec {
  const attention: AttentionMixer = {
    kind: 'attention',
    heads: tower.heads,
    kvHeads: tower.heads,
    headDim: tower.headDim,
    valueDim: tower.headDim,
    keys: { kind: isDecoder ? 'causal' : 'bidirectional' },
    outputGate: false,
    sharedKeyValue: false,
    vectorParameters: tower.hasBias ? 3 * tower.hidden : 0,
  };
  const norm = tower.hasBias ? 2 * tower.hidden : tower.hidden;
  return {
    mixer: attention,
    ffns: [
      {
        kind: 'dense',
        inner: tower.inner,
        gated: tower.gated,
        vectorParameters: tower.hasBias ? tower.inner + tower.hidden : 0,
      },
    ],
    normParameters: norm * (isDecoder ? 3 : 2),
    ...(isDecoder ? { cross: attention } : {}),
  };
}
