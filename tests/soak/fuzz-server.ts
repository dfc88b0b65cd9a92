import { monitorEventLoopDelay } from 'node:perf_hooks';
import { loadConfig } from '../../packages/server/src/config.ts';
import { startErgon } from '../../packages/server/src/start-ergon.ts';

/**
 * The service in a process of its own, on a socket, that also answers its parent how it feels: memory after a full garbage
 * collection, and the longest the event loop was held up since it was last asked. Run with --expose-gc.
 */
export type Health = {
  /** Bytes in use after a collection: JavaScript heap, and buffers outside it. */
  readonly heapBytes: number;
  readonly externalBytes: number;
  readonly rssBytes: number;
  readonly rssBytesMax: number;
  readonly eventLoopDelayMsMax: number;
};

const running = await startErgon(loadConfig(process.env));
const delay = monitorEventLoopDelay({ resolution: 5 });
delay.enable();

process.on('message', () => {
  const eventLoopDelayMsMax = delay.max / 1e6;
  // The collection below holds up the loop too; it is no part of what is measured.
  for (let round = 0; round < 3; round++) globalThis.gc?.();
  const memory = process.memoryUsage();
  delay.reset();
  const health: Health = {
    heapBytes: memory.heapUsed,
    externalBytes: memory.external,
    rssBytes: memory.rss,
    rssBytesMax: process.resourceUsage().maxRSS * 1024,
    eventLoopDelayMsMax,
  };
  process.send?.(health);
});
process.send?.(running.url);
