import { add, type Decimal, decimal, ZERO } from '@ergon/exact';

/** Together below 2^53, so that no sum of the one and the other is ever rounded. */
const WHOLE_DIGITS_MAX = 15;
const WHOLES_MAX = 8_000_000_000_000_000;

/** An exact sum of many quantities, most of them small counts, whose sum a double holds exactly for a while. */
export class WholeSum {
  #sum = ZERO;
  #wholes = 0;

  add(text: string): void {
    const whole = Number(text);
    if (text.length > WHOLE_DIGITS_MAX || !Number.isInteger(whole)) {
      this.#sum = add(this.#sum, decimal(text));
      return;
    }
    this.#wholes += whole;
    if (Math.abs(this.#wholes) >= WHOLES_MAX) this.#takeWholes();
  }

  total(): Decimal {
    this.#takeWholes();
    return this.#sum;
  }

  #takeWholes(): void {
    if (this.#wholes === 0) return;
    this.#sum = add(this.#sum, decimal(this.#wholes));
    this.#wholes = 0;
  }
}
