import { type JsonObject, object } from '../normalise/json.ts';

/** The JSON object in a text, or `undefined` for anything else: a log's last line may be half written. */
export function parseObject(text: string): JsonObject | undefined {
  try {
    return object(JSON.parse(text));
  } catch {
    return undefined;
  }
}
