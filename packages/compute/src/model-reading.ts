import type { ModelSpec } from './model-spec.ts';

/**
 * What a `config.json` says. `known`: every key that sizes a matrix was understood, counts are exact. `bounded`: the family
 * has no tested rule or some keys could not be read; `proxy` is the nearest known shape and counts lie between it times
 * `factor.low` and `factor.high` (an engineering bound, stated as an assumption). `unreadable`: sizes are missing.
 */
export type ModelReading =
  | { readonly kind: 'known'; readonly spec: ModelSpec; readonly assumptions: readonly string[] }
  | {
      readonly kind: 'bounded';
      readonly proxy: ModelSpec;
      readonly factor: { readonly low: number; readonly high: number };
      readonly unread: readonly string[];
      readonly reason: 'unknown_family' | 'unread_keys';
    }
  | { readonly kind: 'unreadable'; readonly missing: readonly string[] };
