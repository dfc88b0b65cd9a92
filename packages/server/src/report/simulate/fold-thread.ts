import { Worker } from 'node:worker_threads';
import type { FoldAnswer, FoldBlock, FoldRequest, FoldSetup } from './fold-messages.ts';

type Waiting = { readonly resolve: (answer: FoldAnswer) => void; readonly reject: (error: Error) => void };

/** One thread of a simulation. Answers come in the order of the requests. */
export class FoldThread {
  readonly #worker: Worker;
  readonly #waiting: Waiting[] = [];
  #failure: Error | undefined;

  constructor(setup: FoldSetup) {
    this.#worker = new Worker(new URL('./event-worker.ts', import.meta.url));
    this.#worker.on('message', (answer: FoldAnswer) => this.#waiting.shift()?.resolve(answer));
    this.#worker.on('error', (error) => this.#fail(error instanceof Error ? error : new Error(String(error))));
    this.#worker.on('exit', () => this.#fail(new Error('a thread of the simulation ended')));
    this.#post({ type: 'start', setup });
  }

  /** Requests that have no answer yet. */
  get inFlight(): number {
    return this.#waiting.length;
  }

  /** The block's bytes go over to the thread. */
  fold(block: FoldBlock): Promise<FoldAnswer> {
    return this.#ask({ type: 'block', block });
  }

  finish(): Promise<FoldAnswer> {
    return this.#ask({ type: 'finish' });
  }

  async stop(reason: Error): Promise<void> {
    this.#fail(reason);
    await this.#worker.terminate();
  }

  #ask(request: FoldRequest): Promise<FoldAnswer> {
    const failure = this.#failure;
    if (failure !== undefined) return Promise.reject(failure);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#post(request);
    });
  }

  #post(request: FoldRequest): void {
    this.#worker.postMessage(
      request,
      request.type === 'block' ? [request.block.events.buffer, request.block.ratings.buffer] : [],
    );
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#waiting.splice(0)) reject(this.#failure);
  }
}
