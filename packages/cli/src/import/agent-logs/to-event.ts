import type { AgentCall } from '@ergon/usage';

/** Values that `--set` gives to every event: paths inside `data`. */
export type FixedData = Readonly<Record<string, unknown>>;

/** What an import says of all its events. */
export type EventFrame = {
  /** `source` of the events and their `data.agent`. */
  readonly agent: string;
  /** Undefined in a dry run that names none. */
  readonly customer: string | undefined;
  readonly fixed: FixedData;
};

/**
 * The event of one call. Its body is a function of the call alone, so that a repeated import is a duplicate. Where the log has
 * kept the provider's usage object, that travels rather than our reading of it, which may improve.
 */
export function toEvent(call: AgentCall, usage: unknown, frame: EventFrame): Record<string, unknown> {
  const { record } = call;
  return {
    specversion: '1.0',
    id: call.id,
    source: frame.agent,
    type: 'llm.call',
    subject: frame.customer,
    time: call.occurredAt,
    data: {
      provider: record.provider,
      api: record.api,
      model: record.model,
      ...(usage === undefined ? { tokens: record.tokens } : { usage }),
      quality: record.quality,
      ...(record.isPromptSummed === true && { prompt_summed: true }),
      agent: frame.agent,
      ...runOf(call),
      ...frame.fixed,
      properties: { ...propertiesOf(call), ...objectOf(frame.fixed['properties']) },
    },
  };
}

/** A session is a run; what a subagent does is a run below it, be it in the same session or in one of its own. */
function runOf(call: AgentCall): { run_id?: string; parent_run_id?: string } {
  const { sessionId, agentId, parentId } = call;
  if (sessionId === undefined) return {};
  if (agentId !== undefined) return { run_id: `${sessionId}:${agentId}`, parent_run_id: sessionId };
  return parentId === undefined || parentId === sessionId
    ? { run_id: sessionId }
    : { run_id: sessionId, parent_run_id: parentId };
}

function propertiesOf(call: AgentCall): Record<string, unknown> {
  return {
    session_id: call.sessionId,
    agent_id: call.agentId,
    started_by: call.parentId,
    cwd: call.cwd,
    git_branch: call.gitBranch,
    git_commit: call.gitCommit,
    repository: call.repository,
    project: call.project,
    version: call.version,
    ...(call.record.flags.some((flag) => flag.code === 'model_assumed') && { model_assumed: true }),
    // What the program itself reckoned from a price list: shown, and never taken for a cost.
    reported_cost_usd: call.record.providerReportedCost?.amount,
  };
}

function objectOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}
