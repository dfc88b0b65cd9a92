import type { AgentCall } from '@ergon/usage';

/** `source` of every event that comes from a Claude Code log. */
export const CLAUDE_CODE_SOURCE = 'claude-code';

/** Values that `--set` gives to every event: paths inside `data`. */
export type FixedData = Readonly<Record<string, unknown>>;

/**
 * The event of one call. Its body is a function of the call alone, so that a repeated import is a duplicate; for the same
 * reason it carries the provider's usage object as the log has it rather than our reading of it, which may improve.
 */
export function toEvent(call: AgentCall, usage: unknown, customer: string, fixed: FixedData): Record<string, unknown> {
  const run = runOf(call);
  return {
    specversion: '1.0',
    id: call.id,
    source: CLAUDE_CODE_SOURCE,
    type: 'llm.call',
    subject: customer,
    time: call.occurredAt,
    data: {
      provider: 'anthropic',
      api: 'messages',
      model: call.record.model,
      usage,
      quality: call.record.quality,
      agent: 'claude-code',
      ...run,
      ...fixed,
      properties: {
        session_id: call.sessionId,
        agent_id: call.agentId,
        started_by: call.parentId,
        cwd: call.cwd,
        git_branch: call.gitBranch,
        version: call.version,
        ...propertiesOf(fixed),
      },
    },
  };
}

/** A session is a run; what a subagent does is a run below it. */
function runOf(call: AgentCall): { run_id?: string; parent_run_id?: string } {
  if (call.sessionId === undefined) return {};
  if (call.agentId === undefined) return { run_id: call.sessionId };
  return { run_id: `${call.sessionId}:${call.agentId}`, parent_run_id: call.sessionId };
}

function propertiesOf(fixed: FixedData): Record<string, unknown> {
  const properties = fixed['properties'];
  return typeof properties === 'object' && properties !== null ? { ...properties } : {};
}
