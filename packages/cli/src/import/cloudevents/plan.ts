import type { FileInput } from '../file-input.ts';
import type { ImportPlan } from '../run-import.ts';
import { readCloudEvents } from './read-cloudevents.ts';

/** `ergon import cloudevents`. */
export function cloudEventsPlan(
  files: readonly FileInput[],
  flags: { readonly customer?: string; readonly source: string },
): ImportPlan {
  const { customer, source } = flags;
  return {
    kind: 'cloudevents',
    customer,
    areCopiesHarmless: false,
    jobs: files.map((file) => file.job((chunks) => readCloudEvents(chunks, { name: file.name, customer, source }))),
    bytesTotal: files.reduce((sum, file) => sum + file.bytes, 0),
    settings: [source],
    notes: () => [],
  };
}
