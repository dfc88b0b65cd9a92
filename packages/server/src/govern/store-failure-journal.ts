import { type FileHandle, mkdir, open, readdir, readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { HoldRequest } from './hold-request.ts';
import type { Resolution } from './hold-desk.ts';
import type { HoldRow } from './hold-store.ts';

/** A step in the life of a hold that the database has yet to hear of. */
export type RememberedStep =
  | {
      readonly kind: 'hold';
      readonly environmentId: number;
      /** As it was answered; `customer` is its name. */
      readonly row: HoldRow;
      readonly flags: readonly string[];
      readonly request: HoldRequest;
    }
  | { readonly kind: 'resolution'; readonly environmentId: number; readonly resolution: Resolution };

const FILE = /^store-failure-(\d+)-(\d+)\.jsonl$/;
const REJECTED = 'store-failure-rejected.jsonl';

/** Files of journals of this very process; others that carry its number are of a process that is gone. */
const live = new Set<string>();
let made = 0;

/**
 * An append-only file of steps, one JSON text a line, each on the disk before it is answered. It is there only while there is
 * something to post; one that a killed process left behind is taken over by the next start on the directory.
 */
export class StoreFailureJournal {
  readonly #directory: string;
  readonly #name: string;
  #file: FileHandle | undefined;
  #adopted: string[] = [];
  #turn: Promise<unknown> = Promise.resolve();

  constructor(directory: string) {
    this.#directory = directory;
    this.#name = `store-failure-${process.pid}-${made++}.jsonl`;
    live.add(this.#name);
  }

  /** What processes that are gone have left behind. */
  async adopt(): Promise<RememberedStep[]> {
    const names = await readdir(this.#directory);
    this.#adopted = names.filter((name) => isLeft(name)).toSorted();
    const texts = await Promise.all(this.#adopted.map((name) => readFile(join(this.#directory, name), 'utf8')));
    return texts.flatMap((text) => text.split('\n').flatMap(parsed));
  }

  /** Resolves when the step is on the disk. */
  append(step: RememberedStep): Promise<void> {
    return this.#next(async () => {
      this.#file ??= await this.#open();
      // The line break comes first, so that a line which a full disk has torn spoils no other.
      await this.#file.appendFile(`\n${JSON.stringify(step)}`);
      await this.#file.datasync();
    });
  }

  /** A step that cannot be posted, kept for a person to look at. */
  reject(step: RememberedStep): Promise<void> {
    return this.#next(async () => {
      const file = await open(join(this.#directory, REJECTED), 'a', 0o600);
      try {
        await file.appendFile(`\n${JSON.stringify(step)}`);
        await file.datasync();
      } finally {
        await file.close();
      }
    });
  }

  /** All that was appended so far is posted. */
  clear(): Promise<void> {
    return this.#next(async () => {
      const names = [...this.#adopted, ...(this.#file === undefined ? [] : [this.#name])];
      await this.#file?.close();
      this.#file = undefined;
      this.#adopted = [];
      await Promise.all(names.map((name) => unlink(join(this.#directory, name))));
    });
  }

  /** Leaves what is not posted to the next start. */
  close(): Promise<void> {
    return this.#next(async () => {
      await this.#file?.close();
      this.#file = undefined;
      live.delete(this.#name);
    });
  }

  async #open(): Promise<FileHandle> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const file = await open(join(this.#directory, this.#name), 'a', 0o600);
    // A new name is safe only once its directory is.
    const directory = await open(this.#directory, 'r');
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
    return file;
  }

  #next<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }
}

function isLeft(name: string): boolean {
  const pid = Number(FILE.exec(name)?.[1]);
  if (!Number.isInteger(pid) || live.has(name)) return false;
  return pid === process.pid || !isAlive(pid);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/** A torn line was never answered. */
function parsed(line: string): RememberedStep[] {
  if (line === '') return [];
  try {
    // Only this class writes the file.
    return [JSON.parse(line) as RememberedStep];
  } catch {
    return [];
  }
}
