import { sumTokens } from '../normalise/figures.ts';
import type { AgentCall } from './agent-call.ts';

/** A call takes about 1.2 KB while it is held, so 240 MB at most: more calls than one developer makes in years. */
const OPEN_CALLS_MAX = 200_000;

/** Collects calls and gives back each real one once. */
export type CallDeduplicator<Call extends AgentCall = AgentCall> = {
  /** Takes the next call in path order; gives back the calls that had to be let go for want of room (usually none). */
  readonly add: (call: Call) => readonly Call[];
  /** All calls still held, in the order first seen. The deduplicator is empty afterwards. */
  readonly finish: () => readonly Call[];
};

/**
 * Makes one call of the many lines that repeat it. Two lines are the same call when message id and request id agree, or when
 * the message id agrees and either is a sidechain, whose file replays its parent under a new request id. The winner is the
 * one outside the sidechain, then the one with more tokens, then the one that tells its speed. A call without a message id
 * is never a duplicate. (ccusage's rules, reference/interop.md.)
 *
 * Exact as long as no more than `openCallsMax` distinct calls are held; past that the oldest is given back, and a later
 * duplicate of it is told apart only by whoever stores the calls by their id.
 */
export function createCallDeduplicator<Call extends AgentCall = AgentCall>(
  openCallsMax: number = OPEN_CALLS_MAX,
): CallDeduplicator<Call> {
  /** In the order first seen; those before `released` have been given back. */
  let held: (Held<Call> | undefined)[] = [];
  let released = 0;
  const messages = new Map<string, SameMessage<Call>>();

  function add(call: Call): readonly Call[] {
    const siblings = call.messageId === undefined ? undefined : messages.get(call.messageId);
    const twin = siblings === undefined ? undefined : findTwin(siblings, call);
    if (twin !== undefined) {
      if (isBetter(call, twin.call)) {
        twin.call = call;
        siblings?.byRequest.set(call.requestId, twin);
      }
      return NONE;
    }
    const fresh: Held<Call> = { call };
    held.push(fresh);
    if (siblings !== undefined) siblings.byRequest.set(call.requestId, fresh);
    else if (call.messageId !== undefined) {
      messages.set(call.messageId, { first: fresh, byRequest: new Map([[call.requestId, fresh]]) });
    }
    return held.length - released > openCallsMax ? releaseOldest() : NONE;
  }

  function releaseOldest(): readonly Call[] {
    const oldest = held[released];
    if (oldest === undefined) return NONE;
    held[released] = undefined;
    released += 1;
    if (oldest.call.messageId !== undefined) messages.delete(oldest.call.messageId);
    // Dropping the emptied half at once costs each call one move.
    if (released > openCallsMax) {
      held = held.slice(released);
      released = 0;
    }
    return [oldest.call];
  }

  function finish(): readonly Call[] {
    const calls = held.flatMap((one) => (one === undefined ? [] : [one.call]));
    held = [];
    released = 0;
    messages.clear();
    return calls;
  }
  return { add, finish };
}

const NONE: readonly never[] = Object.freeze([]);

/** The winner so far of one call's lines. */
type Held<Call> = { call: Call };

/**
 * The calls that share a message id. A sidechain line matches any call of its message, so only the first call can be a
 * sidechain, and looking at that one and at the request id is enough.
 */
type SameMessage<Call> = { readonly first: Held<Call>; readonly byRequest: Map<string | undefined, Held<Call>> };

function findTwin<Call extends AgentCall>(siblings: SameMessage<Call>, call: Call): Held<Call> | undefined {
  const exact = siblings.byRequest.get(call.requestId);
  // A sidechain that lost its place to the parent leaves its request id behind; only the present winner's counts.
  if (exact !== undefined && exact.call.requestId === call.requestId) return exact;
  return call.isSidechain || siblings.first.call.isSidechain ? siblings.first : undefined;
}

function isBetter(candidate: AgentCall, winner: AgentCall): boolean {
  if (candidate.isSidechain !== winner.isSidechain) return winner.isSidechain;
  const more = sumTokens(candidate.record.tokens) - sumTokens(winner.record.tokens);
  if (more !== 0) return more > 0;
  return candidate.record.speed !== undefined && winner.record.speed === undefined;
}
