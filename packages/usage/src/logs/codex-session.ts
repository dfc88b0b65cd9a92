import { type JsonObject, object, text } from '../normalise/json.ts';
import { normaliseUsage } from '../normalise-usage.ts';
import type { UsageFlag, UsageRecord } from '../record.ts';
import type { AgentCall, LogLine } from './agent-call.ts';
import { codexModel } from './codex-model.ts';
import { instant } from './instant.ts';
import { parseObject } from './parse-object.ts';

/** Reads one session file of an agent, line by line. */
export type SessionReader = {
  /** Takes the next line; gives back the calls that are certain by now, and what was dropped. */
  readonly add: (line: string) => readonly LogLine[];
  /** Ends the file. */
  readonly finish: () => readonly LogLine[];
};

/** What the file's path and age tell, for lines that tell less. */
export type SessionFile = {
  /** Path below the log's root without its ending: the session, where the file names none. */
  readonly sessionId: string;
  /** When the file was last written, RFC 3339: the time of lines without one. */
  readonly modifiedAt: string;
};

/** The five figures of a token count; totals are cumulative over the session. */
type Counts = { input: number; cached: number; output: number; reasoning: number; total: number; cacheWrite: number };

/** How much of a file's start may say that it is a spawned or forked session. */
const HEAD_LENGTH = 16 * 1024;

/** Replayed counts are written at once; no model answers twice in this time (as ccusage 20.0.24 behaves). */
const BURST_GAP_MS = 1000;

/**
 * One Codex CLI session (`$CODEX_HOME/sessions/**`): `turn_context` names the model, `token_count` events carry the usage of
 * the last call and the cumulative total. A spawned or forked session begins with a burst, each count within a second
 * of the last, that replays its parent's; it is skipped. The same count re-sent with an unchanged total is skipped. The ids of the calls are
 * made of time, model and figures, so that a history copied into another file is recognised by a deduplicator.
 */
export function createCodexReader(file: SessionFile): SessionReader {
  const session = new CodexSession(file);
  return { add: (line) => session.add(line), finish: () => session.finish() };
}

const NOTHING: readonly LogLine[] = Object.freeze([]);

/** The state of one file between lines. */
class CodexSession {
  readonly #file: SessionFile;
  #read = 0;
  #isReplaying = false;
  /** First count of a session that may be a replay; the next one decides. */
  #first: { readonly atMs: number; readonly calls: readonly LogLine[] } | undefined;
  /** Time of the last replayed count, while the burst goes on. */
  #replayedMs: number | undefined;
  #totals: Counts | undefined;
  #model: string | undefined;
  #meta: JsonObject | undefined;

  constructor(file: SessionFile) {
    this.#file = file;
  }

  add(line: string): readonly LogLine[] {
    if (this.#read < HEAD_LENGTH && line.includes('thread_spawn')) this.#isReplaying = true;
    this.#read += line.length + 1;
    if (!MAY_MATTER.test(line)) return NOTHING;
    const entry = parseObject(line);
    if (entry === undefined) return [{ kind: 'dropped', reason: 'not_json' }];
    const payload = object(entry.payload);
    switch (entry.type) {
      case 'session_meta':
        this.#meta ??= payload;
        if (text(payload?.forked_from_id) !== undefined) this.#isReplaying = true;
        return NOTHING;
      case 'turn_context':
        this.#model = modelOf(payload) ?? this.#model;
        return NOTHING;
      case 'event_msg':
        return payload?.type === 'token_count' ? this.#tokenCount(entry, payload) : NOTHING;
      default:
        return this.#headless(entry);
    }
  }

  finish(): readonly LogLine[] {
    const held = this.#first;
    this.#first = undefined;
    return held === undefined ? NOTHING : held.calls;
  }

  #tokenCount(entry: JsonObject, payload: JsonObject): readonly LogLine[] {
    const info = object(payload.info);
    const last = counts(object(info?.last_token_usage));
    const total = counts(object(info?.total_token_usage));
    if (last === undefined && total === undefined) return NOTHING;
    const at = instant(entry.timestamp);
    if (at === undefined) return [{ kind: 'dropped', reason: 'no_timestamp' }];
    const atMs = Date.parse(at);
    const isReplay = this.#replayedMs !== undefined && atMs - this.#replayedMs <= BURST_GAP_MS;
    const isRepeat = total !== undefined && this.#totals !== undefined && same(total, this.#totals);
    const used = last ?? (total === undefined ? undefined : difference(total, this.#totals));
    if (total !== undefined) this.#totals = total;
    this.#replayedMs = isReplay ? atMs : undefined;
    if (isReplay) return NOTHING;
    const model = modelOf(payload) ?? modelOf(info);
    const isNothing = isRepeat || used === undefined || isZero(used);
    const call = isNothing ? undefined : this.#call(used, at, model);
    return this.#afterReplay(atMs, call);
  }

  /** Holds the first count of a spawned or forked session until the second one tells whether both are its parent's. */
  #afterReplay(atMs: number, call: LogLine | undefined): readonly LogLine[] {
    const found = call === undefined ? NOTHING : [call];
    if (!this.#isReplaying) return found;
    const first = this.#first;
    if (first === undefined) {
      this.#first = { atMs, calls: found };
      return NOTHING;
    }
    this.#first = undefined;
    this.#isReplaying = false;
    if (atMs - first.atMs > BURST_GAP_MS) return [...first.calls, ...found];
    this.#replayedMs = atMs;
    return NOTHING;
  }

  /** `codex exec --json` writes its own events with a plain usage object. */
  #headless(entry: JsonObject): readonly LogLine[] {
    for (const holder of [entry, object(entry.data), object(entry.result), object(entry.response)]) {
      const used = counts(object(holder?.usage));
      if (holder === undefined || used === undefined) continue;
      if (isZero(used) && used.total === 0) return NOTHING;
      const at =
        instant(entry.timestamp) ?? instant(entry.created_at) ?? instant(holder.timestamp) ?? this.#file.modifiedAt;
      return [this.#call(used, at, modelOf(entry) ?? modelOf(holder))];
    }
    return NOTHING;
  }

  #call(used: Counts, occurredAt: string, named: string | undefined): LogLine {
    this.#model = named ?? this.#model;
    const { model, isAssumed } = codexModel(this.#model, occurredAt);
    const figures = [used.input, used.cached, used.output, used.reasoning, used.total].join(':');
    const id = `${occurredAt}:${model}:${figures}`;
    const meta = this.#meta;
    const cwd = text(meta?.cwd);
    const git = object(meta?.git);
    const gitBranch = text(git?.branch);
    const gitCommit = text(git?.commit_hash);
    const repository = text(git?.repository_url);
    const version = text(meta?.cli_version);
    const parentId = text(meta?.forked_from_id) ?? parentThread(meta);
    const call: AgentCall = {
      id,
      messageId: id,
      occurredAt,
      sessionId: text(meta?.id) ?? this.#file.sessionId,
      record: codexRecord(used, model, isAssumed),
      isSidechain: false,
      ...(cwd !== undefined && { cwd }),
      ...(gitBranch !== undefined && { gitBranch }),
      ...(gitCommit !== undefined && { gitCommit }),
      ...(repository !== undefined && { repository }),
      ...(version !== undefined && { version }),
      ...(parentId !== undefined && { parentId }),
    };
    return { kind: 'call', call };
  }
}

/** Lines that can carry usage, a model or the session's head; the rest are messages, many of them long. */
const MAY_MATTER = /"type"\s*:\s*"(?:session_meta|turn_context|token_count)"|"usage"\s*:/;

const ASSUMED: UsageFlag = Object.freeze({
  code: 'model_assumed',
  detail: 'the log does not name the model that answered; it was taken from the time of the call',
});

function codexRecord(used: Counts, model: string, isAssumed: boolean): UsageRecord {
  const usage = {
    input_tokens: used.input,
    input_tokens_details: {
      cached_tokens: used.cached,
      ...(used.cacheWrite > 0 && { cache_write_tokens: used.cacheWrite }),
    },
    output_tokens: used.output,
    output_tokens_details: { reasoning_tokens: used.reasoning },
  };
  const record = normaliseUsage({ provider: 'openai', api: 'responses', model, usage });
  return isAssumed ? { ...record, flags: [...record.flags, ASSUMED] } : record;
}

function parentThread(meta: JsonObject | undefined): string | undefined {
  const subagent = object(object(meta?.source)?.subagent);
  return text(object(subagent?.thread_spawn)?.parent_thread_id);
}

function modelOf(holder: JsonObject | undefined): string | undefined {
  return text(holder?.model) ?? text(holder?.model_name) ?? text(object(holder?.metadata)?.model);
}

function counts(usage: JsonObject | undefined): Counts | undefined {
  if (usage === undefined) return undefined;
  const input = figure(usage.input_tokens ?? usage.prompt_tokens);
  const output = figure(usage.output_tokens ?? usage.completion_tokens);
  return {
    input,
    // The reference caps it: a cached count above the input has been seen in early files.
    cached: Math.min(figure(usage.cached_input_tokens ?? usage.cache_read_input_tokens), input),
    output,
    reasoning: figure(usage.reasoning_output_tokens),
    total: figure(usage.total_tokens),
    cacheWrite: figure(usage.cache_write_input_tokens),
  };
}

function figure(value: unknown): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : 0;
}

function difference(total: Counts, before: Counts | undefined): Counts {
  if (before === undefined) return total;
  const less = (name: keyof Counts) => Math.max(0, total[name] - before[name]);
  return {
    input: less('input'),
    cached: less('cached'),
    output: less('output'),
    reasoning: less('reasoning'),
    total: less('total'),
    cacheWrite: less('cacheWrite'),
  };
}

function same(left: Counts, right: Counts): boolean {
  return (
    left.input === right.input &&
    left.cached === right.cached &&
    left.output === right.output &&
    left.reasoning === right.reasoning &&
    left.total === right.total
  );
}

function isZero(used: Counts): boolean {
  return used.input === 0 && used.cached === 0 && used.output === 0 && used.reasoning === 0;
}
