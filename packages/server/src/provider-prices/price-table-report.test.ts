import { beforeAll, expect, test } from 'vitest';
import { loadProviderPrices, PUBLISHED_ON } from './load-provider-prices.ts';
import { type PriceTableReport, priceTableReport } from './price-table-report.ts';
import { compileProviderPrices } from './provider-prices.ts';

const NOW = Date.parse('2026-11-21T10:00:00Z') * 1000;

let report: PriceTableReport;
beforeAll(async () => {
  report = priceTableReport(await loadProviderPrices(), NOW);
});

test('names the pinned version and its age', () => {
  expect(PUBLISHED_ON.has(report.source.version), 'record the day the new version was published').toBe(true);
  expect(report).toMatchObject({ source: { library: '@pydantic/genai-prices', version: '0.1.8' }, ageDays: 59 });
  expect(report.models).toBeGreaterThan(1600);
  expect(report.modelsWithContextTiers).toBe(53);
});

test('an unrecorded version has no age rather than a guessed one', () => {
  const unrecorded = priceTableReport(compileProviderPrices([], { library: 'x', version: '9' }), NOW);
  expect(unrecorded).not.toHaveProperty('ageDays');
});

test('lists what lies ahead and what has no figure', () => {
  expect(report.changesAhead).toContainEqual({ provider: 'google', model: 'gemini-3.6-flash', from: '2027-01-01' });
  expect(report.modelsWithoutFigures).toContain('google/gemma-3');
  expect(report.modelsWithoutFigures.every((name) => !name.endsWith(':free'))).toBe(true);
});

test.each([
  ['figure_rounded', 'Qwen/Qwen3-VL-8B-Instruct', '0.18', '0.18000000000000002'],
  ['cache_write_rule', 'claude-3-haiku', '0.3', '0.3125'],
  ['context_tier_differs', 'openai/gpt-5.4', '272000', '271999'],
  ['vendor_differs', 'cohere/command-r', '0.5', '0.15'],
])('reports %s for %s', (kind, model, used, other) => {
  expect(report.disagreements).toContainEqual(expect.objectContaining({ kind, model, used, other }));
});
