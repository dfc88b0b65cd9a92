type Clocks = {
  /** Whole milliseconds since 1970, as the machine has them now. */
  readonly wall: () => number;
  /** Milliseconds with a fraction, from any beginning: never turned, and standing still while the machine sleeps. */
  readonly steady: () => number;
  /** What the wall clock showed when the steady one stood at zero, as far as is known. */
  readonly origin: number;
};

const MACHINE: Clocks = {
  wall: () => Date.now(),
  steady: () => performance.now(),
  origin: performance.timeOrigin,
};

/**
 * The machine's clock in microseconds since 1970. The steady clock tells microseconds and the wall clock the truth: where the
 * two part (somebody set the clock, the machine slept), the wall clock is right. So replicas whose machines agree on the time
 * agree on it here, however long each has been running.
 */
export function machineClock({ wall, steady, origin }: Clocks = MACHINE): () => number {
  let offset = origin;
  return () => {
    const ticks = steady();
    const least = wall();
    const now = ticks + offset;
    // The wall clock shows whole milliseconds: the truth lies within the one it shows.
    if (now < least || now >= least + 1) offset = least - ticks;
    return Math.floor((ticks + offset) * 1000);
  };
}
