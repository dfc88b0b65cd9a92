export { loadProviderPrices } from './load-provider-prices.ts';
export { loadModelResolver } from './model-catalogue.ts';
export type { PriceOverride } from './price-override.ts';
export { type PriceDisagreement, type PriceTableReport, priceTableReport } from './price-table-report.ts';
export type { ProviderPrices } from './provider-prices.ts';
export type { CostLine, PriceMiss, PriceQuery, ProviderCost, ProviderPrice } from './types.ts';
