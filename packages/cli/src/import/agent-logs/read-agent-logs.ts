import { type AgentCall, createCallDeduplicator } from '@ergon/usage';
import type { ImportItem } from '../item.ts';
import type { AgentLog, LogAccess, LogFile } from './agent-log.ts';
import { type EventFrame, type FixedData, toEvent } from './to-event.ts';

export type AgentLogOptions = {
  readonly agent: AgentLog;
  readonly files: readonly LogFile[];
  readonly access: LogAccess;
  readonly customer: string | undefined;
  readonly fixed: FixedData;
  readonly nowMs: number;
};

/** What the reader saw besides the events; grows while it reads. */
export type AgentLogNotes = {
  /** Lines with usage, of which a call may have several. */
  usageLines: number;
  calls: number;
  /** Messages the program wrote itself (`<synthetic>`): no call was made. */
  synthetic: number;
  /** Calls that may not have ended yet, left for the next import. */
  unfinished: number;
};

export function noNotes(): AgentLogNotes {
  return { usageLines: 0, calls: 0, synthetic: 0, unfinished: 0 };
}

/** What is younger than this and not final may still be written; its figures would be wrong for ever. */
const SETTLED_AFTER_MS = 5 * 60 * 1_000;

/** A call and where it was found. */
type TracedCall = AgentCall & { readonly place: string; readonly usage: unknown };

/** Every real call of the logs once, as an event, in the order first seen. */
export async function* readAgentLogs(options: AgentLogOptions, notes: AgentLogNotes): AsyncGenerator<ImportItem> {
  const { agent, customer, fixed } = options;
  const frame: EventFrame = { agent: agent.name, customer, fixed };
  const deduplicator = createCallDeduplicator<TracedCall>();
  const read = agent.createReader(options.access);
  for (const file of options.files) {
    for await (const { place, line } of read(file)) {
      if (line.kind === 'dropped') {
        yield { kind: 'problem', place, detail: DROPPED[line.reason] ?? line.reason };
      }
      if (line.kind !== 'call') continue;
      notes.usageLines += 1;
      const traced = { ...line.call, place, usage: line.usage };
      for (const call of deduplicator.add(traced)) yield* itemsOf(call, frame, options, notes);
    }
  }
  for (const call of deduplicator.finish()) yield* itemsOf(call, frame, options, notes);
}

function* itemsOf(
  call: TracedCall,
  frame: EventFrame,
  { agent, nowMs }: AgentLogOptions,
  notes: AgentLogNotes,
): Generator<ImportItem> {
  if (call.record.model === '<synthetic>') {
    notes.synthetic += 1;
    return;
  }
  if (!agent.isFinal(call) && nowMs - Date.parse(call.occurredAt) < SETTLED_AFTER_MS) {
    notes.unfinished += 1;
    return;
  }
  notes.calls += 1;
  const line = JSON.stringify(toEvent(call, call.usage, frame));
  yield { kind: 'event', source: frame.agent, id: call.id, line, place: call.place };
}

const DROPPED: Readonly<Record<string, string>> = {
  not_json: 'a line with usage that is not JSON (cut off?)',
  no_timestamp: 'a call without a time',
  no_model: 'a call without a model',
  no_id: 'a call without an id',
  empty_id: 'a call with an empty id',
  version_not_semver: 'a line whose version is none of Claude Code',
};
