import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import type { ProviderPrices } from '../provider-prices/index.ts';
import type { CostSource } from './record-services.ts';

/**
 * What the provider charges for an event: at the operator's own prices, then the table's; by the model as it was reported, then by
 * the one it stands for. An operator's alias says which model it is, so that comes first.
 */
export function costSource(table: ProviderPrices): CostSource {
  const overlaid = new WeakMap<CatalogSnapshot, ProviderPrices>();
  const pricesOf = (catalog: CatalogSnapshot): ProviderPrices => {
    if (catalog.priceOverrides.length === 0) return table;
    let prices = overlaid.get(catalog);
    if (prices === undefined) {
      prices = table.withOverrides(catalog.priceOverrides);
      overlaid.set(catalog, prices);
    }
    return prices;
  };
  return ({ usage, model, event }, catalog) => {
    if (usage === undefined) return undefined;
    const prices = pricesOf(catalog);
    const standsFor =
      model === undefined || model.canonical === usage.model ? undefined : { ...usage, model: model.canonical };
    const isAlias = usage.model !== undefined && catalog.modelAliases.has(usage.model);
    const [first, second] = isAlias && standsFor !== undefined ? [standsFor, usage] : [usage, standsFor];
    const cost = prices.cost(first, event.occurredAt) ?? (second && prices.cost(second, event.occurredAt));
    return cost === undefined ? undefined : { amount: cost.amount, source: cost.source };
  };
}
