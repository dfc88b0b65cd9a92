import type { Bucket, CompiledPrice, CompiledRateCard } from '@ergon/rating';

/** What prices match on. For a moment `model` is changed while a look-up is tried again. */
type Dimensions = Record<string, string | undefined>;

/** The price of a meter: by the model's reported name, and where no price matches that, by the model it stands for. */
export function matchPrice(card: CompiledRateCard, meter: string, dimensions: Dimensions): CompiledPrice | undefined {
  return card.priceFor(meter, dimensions) ?? byCanonical(dimensions, () => card.priceFor(meter, dimensions));
}

/** The bucket of a price, likewise. */
export function matchBucket(price: CompiledPrice, dimensions: Dimensions): Bucket | undefined {
  return price.bucket(dimensions) ?? byCanonical(dimensions, () => price.bucket(dimensions));
}

function byCanonical<T>(dimensions: Dimensions, find: () => T | undefined): T | undefined {
  const { model: reported, canonical_model: canonical } = dimensions;
  if (canonical === undefined || canonical === reported) return undefined;
  dimensions.model = canonical;
  try {
    return find();
  } finally {
    dimensions.model = reported;
  }
}
