import { assert } from './assert.ts';
import { isRecord } from './config-keys.ts';
import type { ModelSpec } from './model-spec.ts';

/** Where an architecture has one of these at all, it has at least one of it. */
const NEVER_ZERO = new Set(['hidden', 'count', 'heads', 'kvHeads', 'headDim', 'size', 'experts', 'expertsPerToken']);

/**
 * A config may state any number. One that no model has is refused before anything is counted by it: it would come out as
 * negative or infinite work, or divide by zero at the first call.
 */
export function assertSizes(spec: ModelSpec): void {
  assert(spec.layers.length > 0, 'a model has layers');
  assertWhole('', spec);
  for (const { layer } of spec.layers) {
    for (const ffn of layer.ffns) {
      if (ffn.kind === 'moe') assert(ffn.expertsPerToken <= ffn.experts, 'a token uses at most all experts');
    }
  }
}

function assertWhole(name: string, value: unknown): void {
  if (typeof value === 'number') {
    const least = NEVER_ZERO.has(name) ? 1 : 0;
    assert(Number.isSafeInteger(value) && value >= least, `${name} is a whole number from ${least}, not ${value}`);
  } else if (Array.isArray(value)) {
    for (const item of value) assertWhole(name, item);
  } else if (isRecord(value)) {
    for (const [key, member] of Object.entries(value)) assertWhole(key, member);
  }
}
