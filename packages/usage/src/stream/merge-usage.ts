import { type JsonObject, object } from '../normalise/json.ts';

/** Usage objects nest two deep; more is not usage, and a bound keeps the merge linear and the stack flat. */
const DEPTH_MAX = 4;

/**
 * The usage known after a later usage object: its figures overwrite the earlier ones field by field, nested objects
 * likewise; null and absent keep what was known, zero does not. Lists are replaced whole.
 */
export function mergeUsage(known: JsonObject | undefined, later: JsonObject, depth = 0): JsonObject {
  const merged: { [key: string]: unknown } = { ...known };
  for (const key of Object.keys(later)) {
    const value = later[key];
    if (value === undefined || value === null || key === '__proto__') continue;
    const nested = object(value);
    if (nested === undefined) merged[key] = value;
    else if (depth < DEPTH_MAX) merged[key] = mergeUsage(object(merged[key]), nested, depth + 1);
  }
  return merged;
}
