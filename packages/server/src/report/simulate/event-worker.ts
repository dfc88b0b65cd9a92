import { parentPort } from 'node:worker_threads';
import { EventFold, TooManyError } from './event-fold.ts';
import type { FoldAnswer, FoldRequest } from './fold-messages.ts';

/** A thread that reads blocks for one simulation, so that the service goes on answering meanwhile. */
let fold: EventFold | undefined;

parentPort?.on('message', (request: FoldRequest) => {
  const answer = answerTo(request);
  if (answer !== undefined) parentPort?.postMessage(answer);
});

function answerTo(request: FoldRequest): FoldAnswer | undefined {
  try {
    switch (request.type) {
      case 'start':
        fold = new EventFold(request.setup);
        return undefined;
      case 'block':
        return { type: 'folded', folded: started().fold(request.block) };
      case 'finish':
        return { type: 'result', result: started().finish() };
    }
  } catch (error) {
    if (error instanceof TooManyError) return { type: 'too_many', what: error.message };
    throw error;
  }
}

function started(): EventFold {
  if (fold === undefined) throw new Error('a block came before the setup');
  return fold;
}
