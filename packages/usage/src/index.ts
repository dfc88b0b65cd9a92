export type { AgentCall, LogLine } from './logs/agent-call.ts';
export { type CallDeduplicator, createCallDeduplicator } from './logs/call-deduplicator.ts';
export { type LinePlace, parseClaudeCodeLine } from './logs/claude-code-line.ts';
export { normaliseUsage, type UsageInput } from './normalise-usage.ts';
export { isReportedCostTrusted } from './normalise/read-cost.ts';
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
export { createUsageAccumulator, type UsageAccumulator } from './stream/usage-accumulator.ts';
