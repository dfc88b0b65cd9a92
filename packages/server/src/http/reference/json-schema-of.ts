/** JSON Schema of one component of an OpenAPI 3.1 document, with the components it refers to: both speak the same dialect. */
export function jsonSchemaOf(document: { readonly components?: { readonly schemas?: object } }, name: string): object {
  const components = new Map<string, unknown>(Object.entries(document.components?.schemas ?? {}));
  const needed = new Map<string, unknown>();
  const take = (component: string): void => {
    if (needed.has(component)) return;
    const schema = components.get(component);
    if (schema === undefined) throw new Error(`the document has no component ${component}`);
    needed.set(component, schema);
    for (const [, next = ''] of JSON.stringify(schema).matchAll(REFERENCE)) take(next);
  };
  take(name);
  const text = JSON.stringify({
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $ref: `${PREFIX}${name}`,
    $defs: Object.fromEntries(needed),
  });
  return JSON.parse(text.replaceAll(PREFIX, '#/$defs/'));
}

const PREFIX = '#/components/schemas/';
const REFERENCE = /"\$ref":"#\/components\/schemas\/([^"]+)"/g;
