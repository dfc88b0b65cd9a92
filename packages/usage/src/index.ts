export {
  type Quality,
  TOKEN_CLASSES,
  type TokenClass,
  type Tokens,
  UNIT_NAMES,
  type UnitName,
  type Units,
  type UsageFlag,
  type UsageIteration,
  type UsageRecord,
} from './record.ts';
