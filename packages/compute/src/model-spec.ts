/**
 * An architecture, as far as work depends on it: which layers there are and how large their matrices are. Everything else
 * in this package is computed from a `ModelSpec`; a Hugging Face `config.json` becomes one in `readModelConfig`.
 * Sizes are in elements. Symbols and formulas: README, "Counts".
 */
export type ModelSpec = {
  readonly family: string;
  readonly hidden: number;
  /** Rows of the token embedding; 0 for towers that embed no tokens (vision, audio). */
  readonly vocabulary: number;
  /** `none`: the model scores no tokens (embedding models, encoders); `tied`: the head is the embedding. */
  readonly head: 'separate' | 'tied' | 'none';
  /** Runs of equal layers, in order of first appearance. */
  readonly layers: readonly LayerRun[];
  /** Parameters outside the layers that multiply nothing: positions, token types, final norms, a head's bias. */
  readonly loose: number;
  /** Matrices used once a sequence and not once a token, such as a pooler: parameters, never per-token work. */
  readonly pooler: number;
  /** The first tower of an encoder-decoder; its output is what the cross-attention layers read. */
  readonly encoder?: ModelSpec;
};

export type LayerRun = { readonly layer: LayerSpec; readonly count: number };

export type LayerSpec = {
  readonly mixer: Mixer;
  /** Several where they run in parallel, as Gemma 4's dense network beside the experts; none in a Mamba block. */
  readonly ffns: readonly Ffn[];
  /** Attention over the encoder's output, in the decoder of an encoder-decoder. */
  readonly cross?: AttentionMixer;
  /** Norm weights and biases of the block itself (those inside a mixer or network are its own). */
  readonly normParameters: number;
};

/** Which keys a new token scores. A top-k indexer attends as many as a window of the same size. */
export type KeyPattern =
  | { readonly kind: 'causal' }
  | { readonly kind: 'window'; readonly size: number }
  | { readonly kind: 'chunk'; readonly size: number }
  | { readonly kind: 'bidirectional' };

export type AttentionMixer = {
  readonly kind: 'attention';
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly valueDim: number;
  readonly keys: KeyPattern;
  /** The query projection also makes a gate for the output (Qwen3-Next, Qwen3.5). */
  readonly outputGate: boolean;
  /** Values are the keys (Gemma 4's global layers): no value projection. */
  readonly sharedKeyValue: boolean;
  /** Biases, query-key norms and sinks. */
  readonly vectorParameters: number;
};

export type LatentMixer = {
  readonly kind: 'latent';
  readonly heads: number;
  /** `q_lora_rank`; 0 where queries are projected directly. */
  readonly queryRank: number;
  readonly kvRank: number;
  readonly noPositionDim: number;
  readonly ropeDim: number;
  readonly valueDim: number;
  /** DSA: a small scorer over every key chooses `topK` keys for the main attention. */
  readonly indexer?: { readonly heads: number; readonly dim: number; readonly topK: number };
  readonly vectorParameters: number;
};

export type MambaMixer = {
  readonly kind: 'mamba2';
  readonly heads: number;
  readonly headDim: number;
  readonly groups: number;
  readonly state: number;
  readonly convKernel: number;
  readonly convBias: boolean;
};

export type DeltaMixer = {
  readonly kind: 'gated_delta';
  readonly keyHeads: number;
  readonly keyDim: number;
  readonly valueHeads: number;
  readonly valueDim: number;
  readonly convKernel: number;
};

/** A NAS block's single h x h matrix in place of attention. */
type LinearMixer = { readonly kind: 'linear' };
type NoMixer = { readonly kind: 'none' };
export type Mixer = AttentionMixer | LatentMixer | MambaMixer | DeltaMixer | LinearMixer | NoMixer;

export type DenseFfn = {
  readonly kind: 'dense';
  readonly inner: number;
  readonly gated: boolean;
  readonly vectorParameters: number;
};

export type MoeFfn = {
  readonly kind: 'moe';
  readonly experts: number;
  readonly expertsPerToken: number;
  readonly inner: number;
  readonly gated: boolean;
  /** Inner size of all shared experts together; 0 without any. */
  readonly sharedInner: number;
  /** A gate h -> 1 on the shared expert (Qwen). */
  readonly sharedGate: boolean;
  /** The experts' own input size in a latent MoE; equal to `hidden` otherwise. */
  readonly expertHidden: number;
  /** Biases of one expert, beside its matrices. */
  readonly expertVectorParameters: number;
  /** Router bias, scales and norms. */
  readonly vectorParameters: number;
};

export type Ffn = DenseFfn | MoeFfn;
