import type { Decimal } from '@ergon/exact';
import { ONLY_BUCKET } from './compile-simple-model.ts';
import type { ClosableBucket, CompiledModel } from './compiled-model.ts';
import type { Dimensions, WindowHour } from './contract.ts';
import { perEvent } from './event-rate.ts';

/** One of the models that a composite chooses among; `key` holds no `/`. */
export type Child = {
  readonly key: string;
  readonly model: CompiledModel;
  /** Of how many minutes of an hour that begins at a local time the child holds the usage; default: of all. */
  readonly minutesOf?: (hour: string) => number;
};

/**
 * A model that chooses among others by dimensions. Each child keeps buckets of its own; their keys are the child's key, then
 * `/` and its own key where it has several.
 */
export function compositeModel(
  children: readonly Child[],
  choose: (dimensions: Dimensions) => Child | undefined,
  minimum: Decimal | undefined,
): CompiledModel {
  const byKey = new Map(children.map((child) => [child.key, child]));
  const isPerEvent = children.some((child) => child.model.timing === 'per_event');
  const known = new WeakMap<Child, WeakMap<ClosableBucket, ClosableBucket>>();
  for (const child of children) known.set(child, new WeakMap());
  /** The child's bucket under its key in this model: one object for one, as {@link CompiledModel.bucket} promises. */
  const own = (child: Child, bucket: ClosableBucket | undefined): ClosableBucket | undefined => {
    if (bucket === undefined) return undefined;
    const kept = known.get(child)?.get(bucket);
    if (kept !== undefined) return kept;
    const made = renamed(child, bucket, isPerEvent);
    known.get(child)?.set(bucket, made);
    return made;
  };
  return {
    timing: isPerEvent ? 'per_event' : 'cumulative',
    bucket: (dimensions) => {
      const child = choose(dimensions);
      return child === undefined ? undefined : own(child, child.model.bucket(dimensions));
    },
    bucketOf: (key) => {
      const slash = key.indexOf('/');
      const child = byKey.get(slash === -1 ? key : key.slice(0, slash));
      return child && own(child, child.model.bucketOf(slash === -1 ? ONLY_BUCKET : key.slice(slash + 1)));
    },
    standing: (hours) =>
      children.flatMap((child) =>
        child.model.standing(hoursOf(child, hours)).flatMap(({ bucket, ...share }) => {
          const known = own(child, bucket);
          return known === undefined ? [] : [{ bucket: known, ...share }];
        }),
      ),
    minimum,
  };
}

/** The hours as far as they are the child's: a window is made up of the minutes in which it can hold usage. */
function hoursOf({ minutesOf }: Child, hours: readonly WindowHour[]): readonly WindowHour[] {
  if (minutesOf === undefined) return hours;
  return hours.flatMap(({ at, served, length }) => {
    const minutes = BigInt(minutesOf(at));
    return minutes === 0n ? [] : [{ at, served: served * minutes, length: length * minutes }];
  });
}

function renamed(child: Child, bucket: ClosableBucket, isPerEvent: boolean): ClosableBucket {
  const events = bucket.perEvent ?? (isPerEvent ? perEvent(bucket.rate) : undefined);
  return {
    key: bucket.key === ONLY_BUCKET ? child.key : `${child.key}/${bucket.key}`,
    rate: bucket.rate,
    // Reaches through the bucket to keep it alive, and with it the entry that leads from it to this object.
    close: (charged, share) => bucket.close(charged, share),
    ...(events === undefined ? {} : { perEvent: events }),
  };
}
