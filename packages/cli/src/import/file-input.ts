import { resolve } from 'node:path';
import { CliError } from '../cli-error.ts';
import { EXIT_CODE } from '../exit-code.ts';
import type { CliIo } from '../io.ts';
import { fingerprint, inspectFile, openInput, openStream } from './input-file.ts';
import type { ImportItem } from './item.ts';
import type { ImportJob } from './run-job.ts';

/** A file of the command line, or standard input. */
export type FileInput = {
  readonly name: string;
  readonly bytes: number;
  readonly job: (read: (chunks: AsyncIterable<Uint8Array>) => AsyncIterable<ImportItem>) => ImportJob;
};

/** The inputs that a command line names. */
export function fileInputs(io: CliIo, paths: readonly string[]): FileInput[] {
  if (paths.filter((path) => path === '-').length > 1) throw new CliError(EXIT_CODE.usage, '- can be named once');
  return paths.map((path) => {
    if (path === '-') {
      const name = 'standard input';
      return {
        name,
        bytes: 0,
        job: (read) => ({ name, fingerprint: undefined, open: (onBytes) => read(openStream(io.readIn(), onBytes)) }),
      };
    }
    const file = inspectFile(resolve(io.cwd, path));
    return {
      name: path,
      bytes: file.bytes,
      job: (read) => ({
        name: path,
        fingerprint: fingerprint(file),
        open: (onBytes) => read(openInput(file, onBytes)),
      }),
    };
  });
}
