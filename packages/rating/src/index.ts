export { chargeFor, chargeRequestSchema } from './charge-for.ts';
export { chargeModelSchema } from './charge-model-schema.ts';
export { compileRateCard } from './compile-rate-card.ts';
export type {
  Bucket,
  BucketUsage,
  Charge,
  ChargeLine,
  ChargeTiming,
  Compiled,
  CompiledPrice,
  CompiledRateCard,
  CumulativeRate,
  Dimensions,
  EventRate,
  EventState,
  PeriodClose,
  SpecError,
} from './contract.ts';
export { priceSchema, rateCardSchema } from './rate-card-schema.ts';
