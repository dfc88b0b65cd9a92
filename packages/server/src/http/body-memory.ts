import { LIMITS } from '../limits.ts';
import { ProblemError } from './problem.ts';

/** Bytes of event bodies between their first byte and their answer, in this process. */
let inFlightBytes = 0;

/** One request's share of the memory set aside for bodies (LIMITS.inFlightBytesMax). */
export class BodyMemory {
  #bytes = 0;

  /** @throws ProblemError (503, retryable) when the bodies in flight would pass the limit. */
  take(bytes: number): void {
    if (inFlightBytes + bytes > LIMITS.inFlightBytesMax) {
      const detail = 'the bodies in flight fill the memory set aside for them; send it again later';
      throw new ProblemError({ code: 'overloaded', detail, retryAfterSeconds: 1 });
    }
    inFlightBytes += bytes;
    this.#bytes += bytes;
  }

  release(): void {
    inFlightBytes -= this.#bytes;
    this.#bytes = 0;
  }
}
