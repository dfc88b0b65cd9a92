import type { Client } from './client.ts';
import { ProblemError, parseProblem } from './problem.ts';
import { RETRY_INTERACTIVE } from './retry.ts';
import type { Simulation, SimulationProgress } from './wire-simulation.ts';

export type SimulateCall = (
  key: string,
  question: unknown,
  onProgress: (progress: SimulationProgress) => void,
) => Promise<Simulation>;

/** Longer than the server gives a simulation. */
const TIMEOUT_MS = 660_000;

type Line = { readonly progress?: SimulationProgress; readonly result?: Simulation; readonly problem?: unknown };

/** Asks for a simulation as lines: how far it is, then the answer, or the problem that ended it. */
export function simulateCall(client: Client): SimulateCall {
  return async (key, question, onProgress) => {
    const read = (text: string): Line => (text === '' ? {} : (JSON.parse(text) as Line));
    const text = await client.request('POST', `/v1/rate_cards/${encodeURIComponent(key)}/simulate`, {
      headers: { accept: 'application/x-ndjson' },
      body: { contentType: 'application/json', bytes: JSON.stringify(question) },
      retry: RETRY_INTERACTIVE,
      timeoutMs: TIMEOUT_MS,
      onLine: (line) => {
        const { progress } = read(line);
        if (progress !== undefined) onProgress(progress);
      },
    });
    const { result, problem } = read(text.trimEnd().split('\n').at(-1) ?? '');
    if (result !== undefined) return result;
    throw new ProblemError(parseProblem(503, JSON.stringify(problem ?? { detail: 'the answer broke off; ask again' })));
  };
}
