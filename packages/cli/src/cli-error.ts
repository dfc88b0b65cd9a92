import type { ExitCode } from './exit-code.ts';

/**
 * An expected failure of a command: says what happened, and in `hint` what was expected or what to do. It ends the command
 * with its exit code and without a stack trace.
 */
export class CliError extends Error {
  readonly exitCode: ExitCode;
  readonly hint: string | undefined;

  constructor(exitCode: ExitCode, message: string, hint?: string) {
    super(message);
    this.name = 'CliError';
    this.exitCode = exitCode;
    this.hint = hint;
  }
}
