import { readFileSync } from 'node:fs';
import type { AppServices } from '../context.ts';
import { openApiDocument } from '../openapi.ts';
import type { App } from '../operation.ts';
import { jsonSchemaOf } from './json-schema-of.ts';
import { landingPage, PAGE_HEADERS, problemsPage, referencePage } from './pages.ts';

const ASSETS = {
  '/docs/reference.js': {
    type: 'text/javascript; charset=utf-8',
    text: readFileSync(new URL('./reference.js', import.meta.url), 'utf8'),
  },
  '/docs/reference.css': {
    type: 'text/css; charset=utf-8',
    text: readFileSync(new URL('./reference.css', import.meta.url), 'utf8'),
  },
} as const;

/** The landing page, the API reference and the page of problems: everything comes from this server, nothing from elsewhere. */
export function registerReference(app: App, services: AppServices): void {
  let document: string | undefined;
  const documentText = () => (document ??= JSON.stringify(openApiDocument(app, services.version), withoutFlags));
  app.get('/openapi.json', (context) => {
    return context.body(documentText(), 200, {
      'content-type': 'application/json',
      'x-content-type-options': 'nosniff',
    });
  });
  let catalogSchema: string | undefined;
  app.get('/catalog.schema.json', (context) => {
    catalogSchema ??= JSON.stringify(jsonSchemaOf(JSON.parse(documentText()), 'Catalog'));
    const type = 'application/schema+json';
    return context.body(catalogSchema, 200, { 'content-type': type, 'x-content-type-options': 'nosniff' });
  });
  app.get('/', (context) =>
    context.body(
      landingPage(originOf(context.req.url, context.req.header('host')), services.version),
      200,
      PAGE_HEADERS,
    ),
  );
  app.get('/docs', (context) => context.body(referencePage(), 200, PAGE_HEADERS));
  app.get('/docs/problems', (context) => context.body(problemsPage(), 200, PAGE_HEADERS));
  for (const [path, { type, text }] of Object.entries(ASSETS)) {
    app.get(path, (context) =>
      context.body(text, 200, {
        'content-type': type,
        'x-content-type-options': 'nosniff',
        'cache-control': 'no-cache',
      }),
    );
  }
}

/** The generator writes the flag of a Unicode pattern behind it, as `/u`; JSON Schema knows no flags, and Unicode is its rule. */
function withoutFlags(name: string, value: unknown): unknown {
  return name === 'pattern' && typeof value === 'string' ? value.replace(/\/u$/, '') : value;
}

/** Where the reader reached this server; a host header that is no host falls back to the URL. */
function originOf(url: string, host: string | undefined): string {
  const { origin, protocol } = new URL(url);
  return host !== undefined && /^[\w.:[\]-]{1,255}$/.test(host) ? `${protocol}//${host}` : origin;
}
