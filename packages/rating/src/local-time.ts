import { LOCAL_TIME_DIMENSION } from './compiled-model.ts';
import type { Dimensions } from './contract.ts';

export type Window = 'hour' | 'day';

const LOCAL_TIME = /^(\d{4}-\d{2}-\d{2})T(\d{2}):(\d{2})(?::\d{2}(?:\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})?$/;

type LocalTime = { readonly day: string; readonly hour: string; readonly minuteOfDay: number };

/** Usage comes in runs of one minute, and each price of an event asks again. */
let latest: { readonly text: string; readonly time: LocalTime | undefined } = { text: '', time: undefined };

/** The local time of an event, or `undefined` where the dimension is missing or no local time. */
export function localTime(dimensions: Dimensions): LocalTime | undefined {
  const text = dimensions[LOCAL_TIME_DIMENSION];
  if (typeof text !== 'string') return undefined;
  if (text !== latest.text) latest = { text, time: parseLocalTime(text) };
  return latest.time;
}

function parseLocalTime(text: string): LocalTime | undefined {
  const match = LOCAL_TIME.exec(text);
  if (match === null) return undefined;
  const [, day = '', hour = '', minute = '', offset = ''] = match;
  // The offset keeps the two hours apart that a zone lives twice when its clocks go back.
  return { day, hour: `${day}T${hour}${offset}`, minuteOfDay: Number(hour) * 60 + Number(minute) };
}

/** Minutes since midnight of `HH:MM`. */
export function minuteOfDay(text: string): number {
  return Number(text.slice(0, 2)) * 60 + Number(text.slice(3, 5));
}

/** Key of the window that an event falls into, such as `hour:2026-11-21T10`. */
export function windowKey(window: Window, dimensions: Dimensions): string | undefined {
  const time = localTime(dimensions);
  return time === undefined ? undefined : `${window}:${time[window]}`;
}

const WINDOW_KEYS: Readonly<Record<Window, RegExp>> = {
  hour: /^hour:\d{4}-\d{2}-\d{2}T\d{2}(Z|[+-]\d{2}:\d{2})?$/,
  day: /^day:\d{4}-\d{2}-\d{2}$/,
};

export function isWindowKey(window: Window, key: string): boolean {
  return WINDOW_KEYS[window].test(key);
}
