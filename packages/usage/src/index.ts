export type { AgentCall, LogLine } from './logs/agent-call.ts';
export { type CallDeduplicator, createCallDeduplicator } from './logs/call-deduplicator.ts';
export { createCodexReader, type SessionFile, type SessionReader } from './logs/codex-session.ts';
export { createCopilotReader } from './logs/copilot-telemetry.ts';
export { createGeminiReader, parseGeminiChat } from './logs/gemini-chat.ts';
export { type LinePlace, parseClaudeCodeLine } from './logs/claude-code-line.ts';
export {
  createModelResolver,
  type KnownModel,
  type ModelResolver,
  type ResolvedModel,
} from './models/model-resolver.ts';
export { type OpencodeMessage, parseOpencodeMessage } from './logs/opencode-message.ts';
export { normaliseUsage, type UsageInput } from './normalise-usage.ts';
export { isReportedCostTrusted } from './normalise/read-cost.ts';
export { logCall, type OtelLogRecord } from './otel/log-call.ts';
export { type OtelCall, type OtelSpan, spanCalls } from './otel/span-calls.ts';
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
export { type CallWatch, createCallWatch, type WatchedCall } from './warnings/call-watch.ts';
export { type SeenCall, sourceWarnings } from './warnings/source-warnings.ts';
export { type CallFacts, type UsageWarning, type UsageWarningCode, usageWarnings } from './warnings/usage-warnings.ts';
