import type { UsageRecord } from '../record.ts';

/** One model call found in a coding agent's log, with what it takes to attribute it later. */
export type AgentCall = {
  /** Stable across repeated imports and machines; unique within one kind of agent. */
  readonly id: string;
  /** RFC 3339 UTC instant, as the log has it. */
  readonly occurredAt: string;
  readonly sessionId?: string;
  readonly requestId?: string;
  readonly messageId?: string;
  readonly record: UsageRecord;
  readonly cwd?: string;
  readonly gitBranch?: string;
  readonly gitCommit?: string;
  /** Address of the repository, where the log names it. */
  readonly repository?: string;
  /** What the agent itself calls the project, where it names no directory (Gemini CLI: a hash of its path). */
  readonly project?: string;
  /** Version of the agent program. */
  readonly version?: string;
  /** The subagent that made the call; absent for the main thread. */
  readonly agentId?: string;
  /** What started the subagent: a tool use or a session, as the log names it. */
  readonly parentId?: string;
  /** A side conversation, whose file may replay its parent's messages. */
  readonly isSidechain: boolean;
};

/** What one line of a log is: a call, nothing of interest, or a call that cannot be used and why (never silence). */
export type LogLine =
  | {
      readonly kind: 'call';
      readonly call: AgentCall;
      /** The provider's own usage object, where the log has kept it whole. */
      readonly usage?: unknown;
    }
  | { readonly kind: 'other' }
  | { readonly kind: 'dropped'; readonly reason: string };

export const OTHER_LINE: LogLine = Object.freeze({ kind: 'other' });

export function dropped(reason: string): LogLine {
  return { kind: 'dropped', reason };
}
