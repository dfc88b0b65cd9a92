import { assert } from './assert.ts';

/** A ViT in front of a language model. Sizes in elements; an ungated network unless told. */
export type VisionTower = {
  readonly hidden: number;
  readonly layers: number;
  readonly inner: number;
  readonly gated: boolean;
  readonly patch: number;
  /** Patches on a side that become one token of the language model: 2 for Qwen-VL, 4 for Gemma 3. */
  readonly merge: number;
  /** Width of the language model; 0 where no network merges the patches. */
  readonly mergerOutput: number;
};

export type ImageWork = { readonly patches: number; readonly tokens: number; readonly flops: bigint };

/**
 * FLOPs of encoding one image and the tokens it becomes (reference, 1.6): a bidirectional pass over
 * (height / patch) x (width / patch) patches, the patch embedding, and a two-layer merger where there is one.
 */
export function imageWork(tower: VisionTower, image: { readonly width: number; readonly height: number }): ImageWork {
  const { hidden, inner, patch, merge, layers } = tower;
  assert(image.width >= patch && image.height >= patch, 'an image has at least one patch');
  const patches = Math.floor(image.width / patch) * Math.floor(image.height / patch);
  const tokens = Math.ceil(patches / (merge * merge));
  const perPatch = 2 * (4 * hidden * hidden + (tower.gated ? 3 : 2) * hidden * inner);
  const body = BigInt(layers) * (BigInt(perPatch) * BigInt(patches) + 4n * BigInt(hidden) * BigInt(patches) ** 2n);
  const embed = BigInt(2 * 3 * patch * patch * hidden) * BigInt(patches);
  const merged = merge * merge * hidden;
  const merger = tower.mergerOutput === 0 ? 0n : BigInt(2 * merged * (merged + tower.mergerOutput)) * BigInt(tokens);
  return { patches, tokens, flops: body + embed + merger };
}
