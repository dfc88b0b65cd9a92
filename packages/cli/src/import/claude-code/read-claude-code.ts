import { type AgentCall, createCallDeduplicator, parseClaudeCodeLine } from '@ergon/usage';
import { basename } from 'node:path';
import type { ImportItem } from '../item.ts';
import { readLines } from '../read-lines.ts';
import type { LogFile } from './find-logs.ts';
import { CLAUDE_CODE_SOURCE, type FixedData, toEvent } from './to-event.ts';

export type ClaudeCodeOptions = {
  readonly files: readonly LogFile[];
  readonly openFile: (file: LogFile) => AsyncIterable<Uint8Array>;
  readonly customer: string;
  readonly fixed: FixedData;
  readonly nowMs: number;
};

/** What the reader saw besides the events; grows while it reads. */
export type ClaudeCodeNotes = {
  /** Lines with usage, of which a call has several. */
  usageLines: number;
  calls: number;
  /** Messages the program wrote itself (`<synthetic>`): no call was made. */
  synthetic: number;
  /** Calls that may not have ended yet, left for the next import. */
  unfinished: number;
};

/** A call younger than this without a stop reason may still be writing; its output figure would be wrong for ever. */
const SETTLED_AFTER_MS = 5 * 60 * 1_000;

/** Every real call of the logs once, as an event, in the order first seen. */
export async function* readClaudeCode(options: ClaudeCodeOptions, notes: ClaudeCodeNotes): AsyncGenerator<ImportItem> {
  const deduplicator = createCallDeduplicator();
  const origins = new WeakMap<AgentCall, Origin>();
  for (const file of options.files) {
    const sessionId = basename(file.relativePath).replace(/\.jsonl(\.\w+)?$/, '');
    for await (const line of readLines(options.openFile(file))) {
      const place = `${file.relativePath}:${line.number}`;
      if (!line.ok) {
        yield { kind: 'problem', place, detail: line.detail };
        continue;
      }
      const parsed = parseClaudeCodeLine(line.text, { sessionId, file: file.relativePath, line: line.number });
      if (parsed.kind === 'dropped') yield { kind: 'problem', place, detail: DROPPED[parsed.reason] ?? parsed.reason };
      if (parsed.kind !== 'call') continue;
      notes.usageLines += 1;
      origins.set(parsed.call, { place, usage: rawUsage(line.text) });
      for (const call of deduplicator.add(parsed.call)) yield* itemsOf(call, origins, options, notes);
    }
  }
  for (const call of deduplicator.finish()) yield* itemsOf(call, origins, options, notes);
}

type Origin = { readonly place: string; readonly usage: unknown };

function* itemsOf(
  call: AgentCall,
  origins: WeakMap<AgentCall, Origin>,
  options: ClaudeCodeOptions,
  notes: ClaudeCodeNotes,
): Generator<ImportItem> {
  if (call.record.model === '<synthetic>') {
    notes.synthetic += 1;
    return;
  }
  const isOpen = call.record.quality !== 'reported';
  if (isOpen && options.nowMs - Date.parse(call.occurredAt) < SETTLED_AFTER_MS) {
    notes.unfinished += 1;
    return;
  }
  notes.calls += 1;
  const origin = origins.get(call);
  const line = JSON.stringify(toEvent(call, origin?.usage, options.customer, options.fixed));
  yield { kind: 'event', source: CLAUDE_CODE_SOURCE, id: call.id, line, place: origin?.place ?? '' };
}

/** The provider's usage object as the line has it; in an `agent_progress` line it stands deeper. */
function rawUsage(text: string): unknown {
  const line: { message?: { usage?: unknown }; data?: { message?: { message?: { usage?: unknown } } } } =
    JSON.parse(text);
  return line.data?.message?.message?.usage ?? line.message?.usage;
}

const DROPPED: Readonly<Record<string, string>> = {
  not_json: 'a line with usage that is not JSON (cut off?)',
  no_timestamp: 'a call without a time',
  empty_id: 'a call with an empty id',
  version_not_semver: 'a line whose version is none of Claude Code',
};
