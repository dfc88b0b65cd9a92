/** ECMAScript's JSON.parse source text access, which Node 24 has and TypeScript's es2024 library does not. */
type ExactJson = {
  parse(text: string, reviver: (key: string, value: unknown, context: { readonly source: string }) => unknown): unknown;
  rawJSON(text: string): unknown;
};
const exactJson = JSON as unknown as ExactJson;

/**
 * A recorded event as a value that answers with the same JSON: a number that a double would change keeps its digits. The
 * text is canonical JSON that the service wrote, so it parses.
 */
export function storedJson(text: string): unknown {
  return exactJson.parse(text, (_, value, context) =>
    typeof value === 'number' && context.source !== String(value) ? exactJson.rawJSON(context.source) : value,
  );
}
