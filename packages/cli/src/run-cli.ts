import { Command, CommanderError } from 'commander';
import { CliError } from './cli-error.ts';
import { ProblemError, UnreachableError } from './client/index.ts';
import type { CommandContext, GlobalOptions } from './command-context.ts';
import { addBudgetCommands } from './commands/budgets.ts';
import { addAlertCommand } from './commands/alerts.ts';
import { addComputeCommands } from './commands/compute.ts';
import { addCatalogCommands } from './commands/catalog.ts';
import { addEventCommands } from './commands/events.ts';
import { addHoldCommands } from './commands/holds.ts';
import { addKeyCommands } from './commands/keys.ts';
import { addDataQualityCommand } from './commands/data-quality.ts';
import { addPriceCommands } from './commands/prices.ts';
import { addRerateCommand } from './commands/rerate.ts';
import { addRunCommand } from './commands/run.ts';
import { addServerCommands } from './commands/server.ts';
import { addPlanCommands } from './commands/plans.ts';
import { addSubscriptionCommands } from './commands/subscriptions.ts';
import { addUnratedCommand } from './commands/unrated.ts';
import { addUsageCommand } from './commands/usage.ts';
import { addPolicyCommands } from './commands/policies.ts';
import { addTopUpCommands } from './commands/top-ups.ts';
import { addWalletCommands } from './commands/wallets.ts';
import { addWebhookCommands } from './commands/webhooks.ts';
import { addApplyCommand } from './catalog-file/apply-command.ts';
import { addCatalogFileCommands } from './catalog-file/catalog-command.ts';
import { EXIT_CODE, type ExitCode } from './exit-code.ts';
import { addImportCommand } from './import/import-command.ts';
import type { CliIo } from './io.ts';
import { openTarget } from './target/target.ts';

const HELP = `
Where: the server that --url or ERGON_URL names, else the one that serves the data directory (--data-dir, ERGON_DATA_DIR,
.ergon), else the one on the local port; where none runs, commands work in the data directory itself. The key is --key,
ERGON_API_KEY, or the one stored in the data directory.

Exit codes: 0 done; 1 failed; 2 wrong usage; 3 done in part (some records were not imported, an audit or a dry run of apply
found differences); 4 no server; 5 key missing or not allowed; 6 not found; 130 interrupted.

Examples:
  $ ergon serve
  $ ergon import claude-code --customer engineering
  $ ergon usage --meter output_tokens --by model --window hour --customer engineering
  $ ergon explain claude-code msg_01…:req_01…
  $ ergon wallet acme`;

/**
 * Runs one command line.
 *
 * @param argv the words after `ergon`
 * @returns the process's exit code
 */
export async function runCli(argv: readonly string[], io: CliIo): Promise<ExitCode> {
  let exitCode: ExitCode = EXIT_CODE.ok;
  const program = new Command('ergon');
  const globals = (): GlobalOptions => program.opts<GlobalOptions>();
  const context: CommandContext = {
    io,
    globals,
    end: async (code) => {
      exitCode = await code;
    },
    withApi: async (run) => {
      const onNote = (text: string): void => io.writeError(`${text}\n`);
      const target = await openTarget(io, globals(), { mayCreate: false, onNote });
      try {
        await run(target.api, globals().json === true);
      } finally {
        await target.close();
      }
    },
  };
  configure(program, io);
  addServerCommands(program, context);
  addImportCommand(program, context);
  addUsageCommand(program, context);
  addUnratedCommand(program, context);
  addRerateCommand(program, context);
  addDataQualityCommand(program, context);
  addEventCommands(program, context);
  addRunCommand(program, context);
  addWalletCommands(program, context);
  addBudgetCommands(program, context);
  addHoldCommands(program, context);
  addTopUpCommands(program, context);
  addAlertCommand(program, context);
  addWebhookCommands(program, context);
  addPolicyCommands(program, context);
  addCatalogCommands(program, context);
  addApplyCommand(program, context);
  addCatalogFileCommands(program, context);
  addPlanCommands(program, context);
  addSubscriptionCommands(program, context);
  addPriceCommands(program, context);
  addKeyCommands(program, context);
  addComputeCommands(program, context);
  inherit(program);
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return exitCode;
  } catch (error) {
    return report(error, io, globals().json === true);
  }
}

function configure(program: Command, io: CliIo): void {
  program
    .description('Ergon meters the work that AI does, prices it, and explains every amount.')
    .option('--json', 'print JSON for programs instead of tables for people')
    .option('--url <url>', 'the server, e.g. http://127.0.0.1:4600')
    .option('--key <key>', 'the API key')
    .option('--data-dir <directory>', 'the data directory of a server on this machine')
    .showHelpAfterError('(--help shows how)')
    .addHelpText('after', HELP)
    .exitOverride()
    .configureOutput({
      writeOut: io.writeOut,
      writeErr: io.writeError,
      getOutHelpWidth: () => io.columns,
      getErrHelpWidth: () => io.columns,
    })
    .configureHelp({ showGlobalOptions: true });
}

/** Commands made by `command()` copy these settings from their parent only as they were at that moment. */
function inherit(command: Command): void {
  for (const child of command.commands) {
    child.copyInheritedSettings(command);
    inherit(child);
  }
}

function report(error: unknown, io: CliIo, isJson: boolean): ExitCode {
  if (error instanceof CommanderError) {
    return error.exitCode === 0 ? EXIT_CODE.ok : EXIT_CODE.usage;
  }
  const failure = io.signal.aborted ? INTERRUPTED : describe(error);
  if (isJson) {
    const { message, hint, exitCode, code } = failure;
    io.writeError(
      `${JSON.stringify({ error: { message, hint: hint ?? null, code: code ?? null, exit_code: exitCode } })}\n`,
    );
  } else {
    io.writeError(`ergon: ${failure.message}\n${failure.hint === undefined ? '' : `  ${failure.hint}\n`}`);
  }
  return failure.exitCode;
}

type Failure = {
  readonly exitCode: ExitCode;
  readonly message: string;
  readonly hint?: string | undefined;
  readonly code?: string;
};

const INTERRUPTED: Failure = { exitCode: EXIT_CODE.interrupted, message: 'interrupted' };

function describe(error: unknown): Failure {
  if (error instanceof CliError) return { exitCode: error.exitCode, message: error.message, hint: error.hint };
  if (error instanceof UnreachableError) {
    return {
      exitCode: EXIT_CODE.unreachable,
      message: error.message,
      hint: 'Is the server running? `ergon serve` starts one here; --url names another.',
    };
  }
  if (error instanceof ProblemError) {
    const { status, code, errors, requestId } = error.problem;
    const hint = [
      ...errors,
      ...(status === 401 || status === 403 ? [KEY_HINT] : []),
      ...(requestId === undefined ? [] : [`request ${requestId}`]),
    ];
    const exitCode =
      status === 401 || status === 403 ? EXIT_CODE.denied : status === 404 ? EXIT_CODE.notFound : EXIT_CODE.failed;
    return { exitCode, message: error.message, hint: hint.length > 0 ? hint.join('\n  ') : undefined, code };
  }
  if (error instanceof Error) return { exitCode: EXIT_CODE.failed, message: error.message };
  return { exitCode: EXIT_CODE.failed, message: String(error) };
}

const KEY_HINT = 'The key comes from --key, ERGON_API_KEY or the data directory; `ergon keys create` makes one.';
