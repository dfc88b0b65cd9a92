import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { addCounts, type ImportCounts, NO_COUNTS } from './counts.ts';

/** How far an import came: everything before `recordsDone` has been answered by the server. */
export type Checkpoint = {
  readonly version: 1;
  /** State of the input file then (`fingerprint`). */
  readonly fingerprint: string;
  readonly recordsDone: number;
  /** The last event answered, by which a resumed import makes sure that it talks to the same data. */
  readonly lastEvent: { readonly source: string; readonly id: string };
  readonly counts: ImportCounts;
  readonly savedAt: string;
};

/** The place of one import's checkpoint: the same input, target and options give the same place. */
export type CheckpointStore = {
  readonly load: () => Checkpoint | undefined;
  readonly save: (checkpoint: Checkpoint) => void;
  readonly remove: () => void;
};

/** @param key everything that makes this import another one: kind, target, file, customer, mapping */
export function openCheckpoint(directory: string, key: readonly string[]): CheckpointStore {
  const name = createHash('sha256').update(JSON.stringify(key)).digest('hex').slice(0, 24);
  const path = join(directory, `${name}.json`);
  return {
    load: () => read(path),
    save: (checkpoint) => {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      // A rename is atomic: a process killed here leaves the old checkpoint or the new one, never half of one.
      const fresh = `${path}.${process.pid}.new`;
      writeFileSync(fresh, `${JSON.stringify(checkpoint)}\n`, { mode: 0o600 });
      renameSync(fresh, path);
    },
    remove: () => rmSync(path, { force: true }),
  };
}

function read(path: string): Checkpoint | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
  return isCheckpoint(parsed) ? { ...parsed, counts: addCounts(NO_COUNTS, parsed.counts) } : undefined;
}

function isCheckpoint(value: unknown): value is Checkpoint {
  if (typeof value !== 'object' || value === null) return false;
  const { version, fingerprint, recordsDone, lastEvent, counts }: Partial<Record<keyof Checkpoint, unknown>> = value;
  return (
    version === 1 &&
    typeof fingerprint === 'string' &&
    Number.isSafeInteger(recordsDone) &&
    typeof lastEvent === 'object' &&
    lastEvent !== null &&
    typeof counts === 'object' &&
    counts !== null
  );
}
