import type { Decimal } from '@ergon/exact';
import type { Bucket, BucketUsage, Charge, ChargeTiming, Dimensions } from './contract.ts';

/** A bucket that can also close its period. */
export type ClosableBucket = Bucket & {
  /** What falls due at the close beyond what was charged, for a period served to the part `share`. */
  close(usage: Omit<BucketUsage, 'key'>, share: Decimal): Charge;
};

/** A charge model ready to rate. */
export interface CompiledModel {
  readonly timing: ChargeTiming;
  /** The running total that these dimensions add to; `undefined` when the model has no price for them. */
  bucket(dimensions: Dimensions): ClosableBucket | undefined;
  /** The bucket of a key that {@link bucket} once gave; `undefined` for any other text. */
  bucketOf(key: string): ClosableBucket | undefined;
  /** Buckets that owe something at the close even without usage. */
  readonly standing: readonly ClosableBucket[];
  /** Least that all buckets of the period cost together. */
  readonly minimum: Decimal | undefined;
}
