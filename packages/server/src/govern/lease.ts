import { add, compare, type Decimal, decimal, multiply, subtract, toText, ZERO } from '@ergon/exact';
import type { Amounts } from './hold-request.ts';
import type { Measure } from './schemas.ts';

/** A call that was admitted from a lease. */
export type LeasedHold = {
  readonly id: string;
  readonly lease: Lease;
  readonly amounts: Amounts;
  /** What it has taken from the lease, in the order of the lease's measures. */
  readonly taken: readonly Decimal[];
  readonly dimensions: Readonly<Record<string, unknown>>;
  /** Microseconds since 1970. */
  readonly at: number;
  isOver: boolean;
};

/** A call that is over, as `ergon_flush_lease` takes it. */
export type LeasedCall = {
  readonly id: string;
  readonly amounts: Amounts;
  readonly settled: Amounts;
  readonly dimensions: Readonly<Record<string, unknown>>;
  /** Microseconds since 1970. */
  readonly at: number;
};

/**
 * What a process may admit by itself, until an instant of its own clock. No I/O and no clock: time comes in, what is over is
 * handed out by `takeOver`.
 */
export class Lease {
  readonly id: string;
  readonly environmentId: number;
  readonly key: string;
  readonly revision: bigint;
  readonly measures: readonly Measure[];
  /** Monotonic milliseconds: from then on nothing is admitted. */
  stopsAt: number;
  lastUsedAt: number;
  isDraining = false;
  #left: Decimal[];
  #inFlight: Decimal[];
  #calls = 0;
  #open = 0;
  #over: LeasedCall[] = [];

  constructor(
    named: { readonly id: string; readonly environmentId: number; readonly key: string; readonly revision: bigint },
    amounts: readonly (readonly [Measure, Decimal])[],
    now: number,
    stopsAt: number,
  ) {
    this.id = named.id;
    this.environmentId = named.environmentId;
    this.key = named.key;
    this.revision = named.revision;
    this.measures = amounts.map(([measure]) => measure);
    this.#left = amounts.map(([, amount]) => amount);
    this.#inFlight = amounts.map(() => ZERO);
    this.stopsAt = stopsAt;
    this.lastUsedAt = now;
  }

  /** Calls that were admitted and are not over. */
  get open(): number {
    return this.#open;
  }

  get isDirty(): boolean {
    return this.#over.length > 0;
  }

  /** Admits a call, or says that the lease has not enough for it, has ended, or does not know its amounts. */
  hold(
    amounts: Amounts,
    dimensions: Readonly<Record<string, unknown>>,
    { now, at }: { readonly now: number; readonly at: number },
  ): LeasedHold | undefined {
    if (this.isDraining || now >= this.stopsAt) return undefined;
    const taken: Decimal[] = [];
    for (const [index, measure] of this.measures.entries()) {
      const text = amounts[measure];
      if (text === undefined) return undefined;
      const amount = decimal(text);
      if (compare(amount, this.#left[index] ?? ZERO) > 0) return undefined;
      taken.push(amount);
    }
    this.#left = this.#left.map((left, index) => subtract(left, taken[index] ?? ZERO));
    this.#inFlight = this.#inFlight.map((sum, index) => add(sum, taken[index] ?? ZERO));
    this.#calls += 1;
    this.#open += 1;
    this.lastUsedAt = now;
    return { id: `${this.id}.${this.#calls}`, lease: this, amounts, taken, dimensions, at, isOver: false };
  }

  /** Ends a call once; what it did not need is free for the next. @returns whether it was not over before. */
  end(hold: LeasedHold, settled: Amounts | undefined): boolean {
    if (hold.isOver) return false;
    hold.isOver = true;
    this.#open -= 1;
    this.#inFlight = this.#inFlight.map((sum, index) => subtract(sum, hold.taken[index] ?? ZERO));
    const actual = { ...hold.amounts, ...settled };
    this.#left = this.#left.map((left, index) => {
      const used = settled === undefined ? ZERO : decimal(actual[this.measures[index] ?? 'charge'] ?? '0');
      return add(left, subtract(hold.taken[index] ?? ZERO, used));
    });
    if (settled !== undefined) {
      const { id, amounts, dimensions, at } = hold;
      this.#over.push({ id, amounts, settled: actual, dimensions, at });
    }
    return true;
  }

  /** Calls to be recorded, oldest first; they are this caller's now. */
  takeOver(max: number): LeasedCall[] {
    return this.#over.splice(0, max);
  }

  /** They could not be recorded: to be tried again. */
  giveBack(calls: readonly LeasedCall[]): void {
    this.#over = [...calls, ...this.#over];
  }

  /** What calls in flight have taken, by measure: all that a recalled lease keeps. */
  needed(): Record<string, string> {
    return Object.fromEntries(this.measures.map((measure, index) => [measure, toText(this.#inFlight[index] ?? ZERO)]));
  }

  /** Whether less than so many calls of these amounts are left in it. */
  isBelow(amounts: Amounts, calls: number): boolean {
    return this.measures.some((measure, index) => {
      const one = amounts[measure];
      return one !== undefined && compare(this.#left[index] ?? ZERO, multiply(decimal(one), decimal(calls))) < 0;
    });
  }
}
