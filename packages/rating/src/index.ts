export type {
  Charge,
  ChargeLine,
  ChargeTiming,
  Compiled,
  CompiledPrice,
  CompiledRateCard,
  CumulativeRate,
  Dimensions,
  SpecError,
} from './contract.ts';
