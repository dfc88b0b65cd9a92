import { processIo } from './io.ts';
import { runCli } from './run-cli.ts';

const interruption = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    // The second one is meant: whatever is under way is left as it is, which is safe.
    if (interruption.signal.aborted) process.exit(130);
    interruption.abort(new Error('interrupted'));
  });
}
// `ergon events | head` closes the pipe; that is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

process.exitCode = await runCli(process.argv.slice(2), processIo(interruption.signal));
