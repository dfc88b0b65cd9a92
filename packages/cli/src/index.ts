export { EXIT_CODE, type ExitCode } from './exit-code.ts';
export { type CliIo, type Fetch, processIo } from './io.ts';
export { runCli } from './run-cli.ts';
