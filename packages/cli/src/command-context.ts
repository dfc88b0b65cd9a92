import type { Api } from './client/index.ts';
import type { ExitCode } from './exit-code.ts';
import type { CliIo } from './io.ts';
import type { TargetOptions } from './target/target.ts';

export type GlobalOptions = TargetOptions & { readonly json?: boolean };

/** What every command is given. */
export type CommandContext = {
  readonly io: CliIo;
  /** The options of `ergon` itself, wherever they stand on the command line. */
  readonly globals: () => GlobalOptions;
  /** Runs a command on the server or the data directory, and lets go of it afterwards. */
  readonly withApi: (run: (api: Api, isJson: boolean) => Promise<void>) => Promise<void>;
  /** Sets the exit code of a command that has one to tell. */
  readonly end: (code: Promise<ExitCode>) => Promise<void>;
};
