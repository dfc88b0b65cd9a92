import type { CliIo } from '../../io.ts';
import { type DryRun, dryRun } from '../dry-run.ts';
import { createIssueLog } from '../issue-log.ts';
import type { ListPrices } from '../list-prices.ts';
import { NO_COUNTS } from '../counts.ts';
import { inspectFile } from '../input-file.ts';
import { startProgress } from '../progress.ts';
import type { AgentLog } from './agent-log.ts';
import { logsIn } from './find-logs.ts';
import { describe, logAccess } from './plan.ts';
import { noNotes, readAgentLogs } from './read-agent-logs.ts';

/** What one agent's logs on this machine hold. */
export type Surveyed = {
  readonly agent: AgentLog;
  readonly places: readonly string[];
  readonly files: number;
  /** Undefined where there is no log. */
  readonly found: DryRun | undefined;
  readonly notes: readonly string[];
  readonly issues: readonly string[];
};

/** Reads the logs of an agent where it usually keeps them, and sends nothing. */
export async function surveyAgent(io: CliIo, agent: AgentLog, prices: ListPrices): Promise<Surveyed> {
  const places = agent.places(io);
  const files = logsIn(agent, places);
  if (files.length === 0) return { agent, places, files: 0, found: undefined, notes: [], issues: [] };
  const notes = noNotes();
  const issues = createIssueLog(undefined);
  const bytesTotal = files.reduce((sum, file) => sum + inspectFile(file.path).bytes, 0);
  const progress = startProgress(io, bytesTotal, 'read');
  let bytes = 0;
  const access = logAccess((count) => {
    bytes += count;
    progress.update(agent.title, bytes, { ...NO_COUNTS, records: notes.usageLines });
  });
  try {
    const options = { agent, files, access, customer: undefined, fixed: {}, nowMs: io.nowMs() };
    const found = await dryRun(readAgentLogs(options, notes), prices, (place, detail) =>
      issues.add({ kind: 'unreadable', place, detail }),
    );
    return { agent, places, files: files.length, found, notes: describe(agent, notes), issues: issues.lines() };
  } finally {
    progress.stop();
  }
}
