import { add, ONE, ZERO } from '@ergon/exact';
import type { SimpleModelSpec } from './charge-model-schema.ts';
import type { ClosableBucket, CompiledModel } from './compiled-model.ts';
import { cumulativeRate } from './cumulative-rate.ts';
import type { ExactRate } from './exact-rate.ts';
import { FREE_RATE, linearRate } from './linear-rate.ts';
import { shortfall } from './shortfall.ts';
import { toDecimal } from './wire-decimal.ts';

/** Key of the bucket of a model that has only one. */
const ONLY_BUCKET = 'all';

/** A model that rates one running quantity. */
export function compileSimpleModel(spec: SimpleModelSpec): CompiledModel {
  const minimum = 'minimum' in spec && spec.minimum !== undefined ? toDecimal(spec.minimum) : undefined;
  const bucket: ClosableBucket = {
    key: ONLY_BUCKET,
    rate: cumulativeRate(exactRate(spec)),
    close: (usage, share) => shortfall('minimum', minimum, share, usage.charged),
  };
  return {
    timing: 'cumulative',
    bucket: () => bucket,
    bucketOf: (key) => (key === ONLY_BUCKET ? bucket : undefined),
    standing: minimum === undefined ? [] : [bucket],
    minimum: undefined,
  };
}

function exactRate(spec: SimpleModelSpec): ExactRate {
  switch (spec.type) {
    case 'free':
      return FREE_RATE;
    case 'per_unit':
      return linearRate(toDecimal(spec.unit_amount));
    case 'cost_plus':
      return linearRate(add(ONE, spec.markup === undefined ? ZERO : toDecimal(spec.markup)));
  }
}
