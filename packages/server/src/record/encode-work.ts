import type { ByteWriter } from '../event/byte-writer.ts';
import type { EventWork } from './event-work.ts';

/** How an event's work was counted, as its rating stores it (encode-rating.ts). */
export type StoredWork =
  | { readonly u: string }
  | {
      readonly n?: 'ergon-flops-1';
      readonly m?: string;
      readonly b: 'architecture' | 'declared';
      readonly t?: 'modelled' | 'calibrated' | 'allocated' | 'reported';
      readonly d?: string;
      readonly v?: number;
      readonly a?: string;
      readonly x?: string;
    };

/** Events of one deployment share their note, so its text is made once. */
const texts = new WeakMap<EventWork, Uint8Array>();

export function writeWork(writer: ByteWriter, work: EventWork): void {
  let text = texts.get(work);
  if (text === undefined) {
    text = Buffer.from(`,"w":${JSON.stringify(storedWork(work))}`);
    texts.set(work, text);
  }
  writer.bytes(text);
}

function storedWork(work: EventWork): StoredWork {
  if ('unmeasured' in work) return { u: work.unmeasured };
  const { convention: n, model: m, timeBasis: t, deployment: d, version: v, accelerator: a, context: x } = work;
  return {
    b: work.basis,
    ...(n !== undefined && { n }),
    ...(m !== undefined && { m }),
    ...(t !== undefined && { t }),
    ...(d !== undefined && { d }),
    ...(v !== undefined && { v }),
    ...(a !== undefined && { a }),
    ...(x !== undefined && { x }),
  };
}

export function decodeWork(stored: StoredWork): EventWork {
  if ('u' in stored) return { unmeasured: stored.u };
  const { n, m, b, t, d, v, a, x } = stored;
  return {
    basis: b,
    ...(n !== undefined && { convention: n }),
    ...(m !== undefined && { model: m }),
    ...(t !== undefined && { timeBasis: t }),
    ...(d !== undefined && { deployment: d }),
    ...(v !== undefined && { version: v }),
    ...(a !== undefined && { accelerator: a }),
    ...(x !== undefined && { context: x }),
  };
}
