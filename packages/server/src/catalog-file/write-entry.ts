import { DEFINITIONS, publishDefinition, putOverride } from '../billing/index.ts';
import { type CatalogWrite, createMeter, publishProviderPrice, publishRateCard, putAlias } from '../catalog/index.ts';
import { type FieldError, type Problem, ProblemError } from '../http/problem.ts';
import type { ProviderPrices } from '../provider-prices/index.ts';
import type { Difference, Wanted } from './compare-catalog.ts';
import { DEFINITION_KINDS } from './read-catalog.ts';

/**
 * Writes one difference by the function that the routes of its kind use. @returns what is wrong with it, pointing into the file;
 * then the transaction must not commit.
 */
export async function writeEntry(
  write: CatalogWrite,
  table: ProviderPrices,
  { key, pointer, wanted }: Difference,
): Promise<readonly FieldError[]> {
  try {
    await written(write, table, key, wanted);
    return [];
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error;
    return problemsAt(pointer, error.problem);
  }
}

async function written(write: CatalogWrite, table: ProviderPrices, key: string, wanted: Wanted): Promise<unknown> {
  switch (wanted.kind) {
    case 'meters':
      return createMeter(write, key, wanted.spec);
    case 'features':
    case 'plans':
    case 'add_ons':
    case 'coupons':
      return publishDefinition(write, DEFINITIONS[DEFINITION_KINDS[wanted.kind]], key, wanted.spec);
    case 'rate_cards':
      return publishRateCard(write, { key, ...wanted });
    case 'provider_price_overrides':
      return publishProviderPrice(write, table, { key, ...wanted });
    case 'model_aliases':
      return putAlias(write, key, wanted.spec);
    case 'customer_overrides':
      return putOverride(write, { customer: wanted.customer, key, spec: wanted.spec });
  }
}

function problemsAt(pointer: string, { detail, errors = [] }: Problem): FieldError[] {
  if (errors.length === 0) return [{ pointer, detail }];
  return errors.map((error) => ({
    ...error,
    pointer: `${pointer}${error.pointer ?? ''}`,
    detail: (error.pointer ?? '') === '' ? `${detail}: ${error.detail}` : error.detail,
  }));
}
