import fc from 'fast-check';
import type { AttentionMixer, Ffn, KeyPattern, LayerSpec, Mixer, ModelSpec } from './model-spec.ts';

const size = (max: number): fc.Arbitrary<number> => fc.integer({ min: 1, max });
const additivePattern: fc.Arbitrary<KeyPattern> = fc.oneof(
  fc.constant<KeyPattern>({ kind: 'causal' }),
  fc.record({ kind: fc.constant('window' as const), size: size(300) }),
  fc.record({ kind: fc.constant('chunk' as const), size: size(300) }),
);

const attention: fc.Arbitrary<AttentionMixer> = fc
  .tuple(size(8), size(8), size(64), size(64), additivePattern, fc.boolean(), fc.boolean(), fc.nat(100))
  .map(([kvHeads, group, headDim, valueDim, keys, outputGate, sharedKeyValue, vectorParameters]) => ({
    kind: 'attention',
    heads: kvHeads * group,
    kvHeads,
    headDim,
    valueDim,
    keys,
    outputGate,
    sharedKeyValue,
    vectorParameters,
  }));

const latent: fc.Arbitrary<Mixer> = fc.record(
  {
    kind: fc.constant('latent' as const),
    heads: size(16),
    queryRank: fc.nat(64),
    kvRank: size(64),
    noPositionDim: size(64),
    ropeDim: size(32),
    valueDim: size(64),
    vectorParameters: fc.nat(10),
    indexer: fc.record({ heads: size(8), dim: size(32), topK: size(200) }),
  },
  {
    requiredKeys: ['kind', 'heads', 'queryRank', 'kvRank', 'noPositionDim', 'ropeDim', 'valueDim', 'vectorParameters'],
  },
);

const stateSpace: fc.Arbitrary<Mixer> = fc.oneof(
  fc.record({
    kind: fc.constant('mamba2' as const),
    heads: size(8),
    headDim: size(32),
    groups: size(4),
    state: size(64),
    convKernel: size(4),
    convBias: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant('gated_delta' as const),
    keyHeads: size(8),
    keyDim: size(32),
    valueHeads: size(8),
    valueDim: size(32),
    convKernel: size(4),
  }),
);

const mixer: fc.Arbitrary<Mixer> = fc.oneof(
  attention,
  latent,
  stateSpace,
  fc.constantFrom<Mixer[]>({ kind: 'linear' }, { kind: 'none' }),
);

const ffn: fc.Arbitrary<Ffn> = fc.oneof(
  fc.record({
    kind: fc.constant('dense' as const),
    inner: size(256),
    gated: fc.boolean(),
    vectorParameters: fc.nat(9),
  }),
  fc
    .tuple(size(32), size(32), size(64), fc.boolean(), fc.nat(64), fc.boolean(), size(64))
    .map(([experts, active, inner, gated, sharedInner, sharedGate, expertHidden]) => ({
      kind: 'moe' as const,
      experts,
      expertsPerToken: Math.min(experts, active),
      inner,
      gated,
      sharedInner,
      sharedGate,
      expertHidden,
      expertVectorParameters: 3,
      vectorParameters: 5,
    })),
);

const layer: fc.Arbitrary<LayerSpec> = fc.record({
  mixer,
  ffns: fc.array(ffn, { maxLength: 2 }),
  normParameters: fc.nat(100),
});

/** Causal architectures of every family: any mixers and networks in any order. Tests only. */
export const randomArchitecture: fc.Arbitrary<ModelSpec> = fc
  .tuple(
    size(512),
    size(1000),
    fc.constantFrom<ModelSpec['head'][]>('separate', 'tied', 'none'),
    fc.array(fc.record({ layer, count: size(40) }), { minLength: 1, maxLength: 5 }),
    fc.nat(1000),
  )
  .map(([hidden, vocabulary, head, layers, loose]) => ({
    family: 'random',
    hidden,
    vocabulary,
    head,
    layers,
    loose,
    pooler: 0,
  }));
