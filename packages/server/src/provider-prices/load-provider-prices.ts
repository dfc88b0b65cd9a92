import { readFile } from 'node:fs/promises';
import type { Provider } from '@pydantic/genai-prices';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { PriceOverride } from './price-override.ts';
import { compileProviderPrices, type ProviderPrices } from './provider-prices.ts';

const LIBRARY = '@pydantic/genai-prices';

/** When the versions we have pinned were published to npm; the library's data carries no date of its own. */
export const PUBLISHED_ON: ReadonlyMap<string, string> = new Map([['0.1.8', '2026-09-23']]);

/**
 * Loads the table bundled in the pinned library. Once at start: it reads 0.8 MB of data and compiles the matching rules;
 * prices themselves are compiled when first asked for.
 *
 * @throws RangeError when an override is not well formed.
 * @example const prices = await loadProviderPrices();
 */
export async function loadProviderPrices(
  options: { readonly overrides?: readonly PriceOverride[] } = {},
): Promise<ProviderPrices> {
  const providers = await bundledProviders();
  const version = await libraryVersion();
  const publishedOn = PUBLISHED_ON.get(version);
  const source = { library: LIBRARY, version, ...(publishedOn === undefined ? {} : { publishedOn }) };
  return compileProviderPrices(providers, source, options.overrides);
}

/** The data inside the library: nothing is fetched. */
export async function bundledProviders(): Promise<readonly Provider[]> {
  const { waitForUpdate } = await import('@pydantic/genai-prices');
  // Nothing was ever fetched, so what the library "waits" for is its bundled data: the one public way to all of it.
  const providers = await waitForUpdate();
  if (providers === null) throw new Error(`${LIBRARY} has no bundled price data; reinstall it`);
  return providers;
}

/** The library's exports hide its package.json, so it is found beside its entry file. */
async function libraryVersion(): Promise<string> {
  const entry = createRequire(import.meta.url).resolve(LIBRARY);
  const manifest: unknown = JSON.parse(await readFile(join(dirname(entry), '..', 'package.json'), 'utf8'));
  const isNamed = typeof manifest === 'object' && manifest !== null && 'version' in manifest;
  return isNamed && typeof manifest.version === 'string' ? manifest.version : 'unknown';
}
