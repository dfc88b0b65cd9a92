import { type Decimal, decimal, divide, multiply, scaled } from '@ergon/exact';
import { assert } from './assert.ts';
import type { Interval } from './estimate.ts';

/** What a device-hour costs and how much of it is sold: idle time is paid by what runs. */
export type DevicePrice = {
  /** In one currency, which the caller keeps. */
  readonly perDeviceHour: Decimal;
  /** Busy share of the hours bought, over 0 to 1; 1 leaves idle time out of the cost. */
  readonly utilisation: Decimal;
};

export type CostInterval = { readonly low: Decimal; readonly expected: Decimal; readonly high: Decimal };

const PLACES = 12;

/** Physical cost of accelerator time: seconds x price / 3600 / utilisation, to 12 decimals, half away from zero. */
export function costOf(acceleratorSeconds: Interval, price: DevicePrice): CostInterval {
  const of = (seconds: number): Decimal => {
    assert(seconds >= 0 && seconds < 9e6, 'a request takes less than 100 days of device time');
    const exact = scaled(BigInt(Math.round(seconds * 1e9)), 9);
    const perSecond = multiply(decimal('3600'), price.utilisation);
    return divide(multiply(exact, price.perDeviceHour), perSecond, { places: PLACES, mode: 'half-away-from-zero' });
  };
  return {
    low: of(acceleratorSeconds.low),
    expected: of(acceleratorSeconds.expected),
    high: of(acceleratorSeconds.high),
  };
}
