/** An object as JSON.parse gives it. */
export type JsonObject = { readonly [key: string]: unknown };

/** The value as an object, or `undefined` for anything else (null and arrays included). */
export function object(value: unknown): JsonObject | undefined {
  return isObject(value) ? value : undefined;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Longest text taken from a provider's answer or a log into a record: names and identifiers, never content. */
const TEXT_MAX = 512;

/** The value as non-empty text of a length a name can have, or `undefined`. */
export function text(value: unknown): string | undefined {
  return typeof value === 'string' && value.length > 0 && value.length <= TEXT_MAX ? value : undefined;
}
