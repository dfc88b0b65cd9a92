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

export function writeWork(writer: ByteWriter, work: EventWork): void {
  if ('unmeasured' in work) {
    writer.ascii(',"w":{"u":"');
    writer.ascii(work.unmeasured);
    writer.ascii('"}');
    return;
  }
  writer.ascii(',"w":{"b":"');
  writer.ascii(work.basis);
  writer.ascii('"');
  member(writer, ',"n":"', work.convention);
  member(writer, ',"m":"', work.model);
  member(writer, ',"t":"', work.timeBasis);
  member(writer, ',"d":"', work.deployment);
  if (work.version !== undefined) {
    writer.ascii(',"v":');
    writer.number(work.version);
  }
  member(writer, ',"a":"', work.accelerator);
  member(writer, ',"x":"', work.context);
  writer.ascii('}');
}

/** Names and hashes only: nothing in them needs escaping. */
function member(writer: ByteWriter, name: string, value: string | undefined): void {
  if (value === undefined) return;
  writer.ascii(name);
  writer.ascii(value);
  writer.ascii('"');
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
