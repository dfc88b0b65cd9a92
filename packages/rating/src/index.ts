export { chargeFor, chargeRequestSchema } from './charge-for.ts';
export { chargeModelSchema } from './charge-model-schema.ts';
export { compileRateCard, overlayPrices } from './compile-rate-card.ts';
export { LOCAL_TIME_DIMENSION, PROMPT_TOKENS_DIMENSION } from './compiled-model.ts';
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
  EventsTogether,
  PeriodClose,
  PeriodShare,
  SpecError,
  WindowHour,
} from './contract.ts';
export { type CreditLot, type CreditUnit, costBasis, creditsToMoney, moneyToCredits } from './credit-unit.ts';
export { FIRST_EVENT } from './event-rate.ts';
export { promptTokens } from './prompt-tokens.ts';
export { daysBetween, type PriceChange, prorate, prorateChange, prorateParts } from './prorate.ts';
export { chargeProratedGraduated, type ProratedChange } from './prorated-graduated.ts';
export { type PriceSpec, priceSchema, rateCardSchema } from './rate-card-schema.ts';
export { type LevelChange, weightedSum } from './weighted-sum.ts';
