import type { Decimal } from '@ergon/exact';
import type { Bucket, Charge, ChargeTiming, Dimensions, PeriodShare, WindowHour } from './contract.ts';

/** The dimension that holds the length of a request's whole prompt, in tokens. */
export const PROMPT_TOKENS_DIMENSION = 'prompt_tokens';
/** The dimension that holds an event's local time, `YYYY-MM-DDTHH:MM`. */
export const LOCAL_TIME_DIMENSION = 'local_time';

/** A bucket that can also close its period. */
export type ClosableBucket = Bucket & {
  /** What falls due at the close beyond what was charged while the period ran. */
  close(charged: Decimal, share: PeriodShare): Charge;
};

/** `share`: the part of a bucket's own window that was served; of a bucket without a window it is the period's. */
export type StandingBucket = { readonly bucket: ClosableBucket; readonly share?: PeriodShare };

/** A charge model ready to rate. */
export interface CompiledModel {
  readonly timing: ChargeTiming;
  /**
   * The running total that these dimensions add to; `undefined` when the model has no price for them. The same object for
   * the same key while anyone holds it.
   */
  bucket(dimensions: Dimensions): ClosableBucket | undefined;
  /** The bucket of a key that {@link bucket} once gave; `undefined` for any other text. */
  bucketOf(key: string): ClosableBucket | undefined;
  /** Buckets that owe something at the close even without usage, in a period of these hours. */
  standing(hours: readonly WindowHour[]): readonly StandingBucket[];
  /** Least that all buckets of the period cost together. */
  readonly minimum: Decimal | undefined;
}
