import { type JsonObject, object, text } from '../normalise/json.ts';

/** Attributes as a flat object, whether they came as OTLP's list of key and value or already flat. */
export function flattenAttributes(attributes: unknown): JsonObject {
  if (!Array.isArray(attributes)) return object(attributes) ?? {};
  const flat: { [key: string]: unknown } = {};
  for (const entry of attributes) {
    const pair = object(entry);
    const key = text(pair?.key);
    if (key !== undefined && key !== '__proto__') flat[key] = scalar(object(pair?.value));
  }
  return flat;
}

/** OTLP's AnyValue, of which usage needs the scalars; 64-bit integers travel as text. */
function scalar(value: JsonObject | undefined): unknown {
  return value?.stringValue ?? value?.intValue ?? value?.doubleValue ?? value?.boolValue;
}

/** The first of several names that has a value; exporters of different ages name the same thing differently. */
export function firstOf(attributes: JsonObject, names: readonly string[]): unknown {
  for (const name of names) {
    const value = attributes[name];
    if (value !== undefined && value !== null && value !== '') return value;
  }
  return undefined;
}

/** The same, for texts. */
export function firstText(attributes: JsonObject, names: readonly string[]): string | undefined {
  for (const name of names) {
    const value = text(attributes[name]);
    if (value !== undefined) return value;
  }
  return undefined;
}
