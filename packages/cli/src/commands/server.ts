import type { Command } from 'commander';
import { once } from 'node:events';
import { CliError } from '../cli-error.ts';
import type { CommandContext } from '../command-context.ts';
import { EXIT_CODE } from '../exit-code.ts';
import { withGroups } from '../print/number.ts';
import { createStyle } from '../print/style.ts';
import { printPairs } from '../print/table.ts';

/** The service is large; commands that only talk to it do not load it. */
const loadServer = () => import('@ergon/server');

/** `ergon serve`, `ergon doctor`, `ergon audit`. */
export function addServerCommands(program: Command, context: CommandContext): void {
  program
    .command('serve')
    .description('start the server and its database in the data directory, until Ctrl-C')
    .option('--port <port>', 'the port to listen on (default: ERGON_PORT or 4600; 0 takes a free one)')
    .option('--host <address>', 'the address to listen on (default: ERGON_HOST or 127.0.0.1)')
    .addHelpText('after', '\nExamples:\n  $ ergon serve\n  $ ergon serve --data-dir /var/lib/ergon --port 8080')
    .action((flags: { port?: string; host?: string }) => serve(context, flags));
  program
    .command('doctor')
    .description('look for what is wrong with the set-up, and say what to do about it')
    .action(() => doctor(context));
  program
    .command('audit')
    .description('recompute rollups, accumulators, postings and balances from the events, and report every difference')
    .action(() => audit(context));
}

async function configOf(context: CommandContext, flags: { port?: string; host?: string }) {
  const { dataDir } = context.globals();
  const { loadConfig } = await loadServer();
  try {
    return loadConfig({
      ...context.io.env,
      ...(dataDir !== undefined && { ERGON_DATA_DIR: dataDir }),
      ...(flags.port !== undefined && { ERGON_PORT: flags.port }),
      ...(flags.host !== undefined && { ERGON_HOST: flags.host }),
    });
  } catch (error) {
    throw new CliError(
      EXIT_CODE.usage,
      error instanceof Error ? error.message : String(error),
      'docs/configuration.md lists the settings.',
    );
  }
}

async function serve(context: CommandContext, flags: { port?: string; host?: string }): Promise<void> {
  const { io } = context;
  const config = await configOf(context, flags);
  const { startErgon, LaunchError } = await loadServer();
  const lost = new AbortController();
  const server = await startErgon(config, { onLost: () => lost.abort() }).catch((error: unknown) => {
    if (error instanceof LaunchError) throw new CliError(EXIT_CODE.failed, `cannot start: ${error.message}`);
    if (!(error instanceof Error) || !('code' in error) || error.code !== 'EADDRINUSE') throw error;
    throw new CliError(
      EXIT_CODE.failed,
      `cannot start: ${error.message}`,
      'Choose another --port, or stop what holds this one.',
    );
  });
  const { url = '', newAdminKey } = server;
  if (context.globals().json === true) {
    io.writeOut(`${JSON.stringify({ url, data_dir: config.dataDir, new_admin_key: newAdminKey ?? null })}\n`);
  } else {
    printPairs(io, [
      ['Ergon', url],
      ['data directory', config.dataDir],
      ...(newAdminKey === undefined
        ? []
        : [['API key', `${newAdminKey} (shown once; kept in the data directory)`] as const]),
    ]);
  }
  const ended = AbortSignal.any([io.signal, lost.signal]);
  if (!ended.aborted) await once(ended, 'abort');
  await server.stop();
  if (lost.signal.aborted) {
    throw new CliError(
      EXIT_CODE.failed,
      `another service took over ${config.dataDir}`,
      'Use that one, or start with another --data-dir.',
    );
  }
}

async function doctor(context: CommandContext): Promise<void> {
  const { io } = context;
  const { diagnose } = await loadServer();
  const checks = await diagnose(await configOf(context, {}));
  const hasFailed = checks.some((check) => check.status === 'fail');
  if (context.globals().json === true) {
    io.writeOut(`${JSON.stringify({ ok: !hasFailed, checks }, null, 2)}\n`);
  } else {
    const style = createStyle(io);
    const width = Math.max(...checks.map((check) => check.name.length));
    const marks = { ok: style.green('ok  '), warn: style.yellow('warn'), fail: style.red('FAIL') };
    for (const { name, status, detail, remedy } of checks) {
      io.writeOut(`${marks[status]}  ${name.padEnd(width)}  ${detail}\n`);
      if (remedy !== undefined && status !== 'ok') io.writeOut(`${' '.repeat(width + 8)}${remedy}\n`);
    }
  }
  await context.end(Promise.resolve(hasFailed ? EXIT_CODE.failed : EXIT_CODE.ok));
}

async function audit(context: CommandContext): Promise<void> {
  const { io } = context;
  await context.withApi(async (api, isJson) => {
    const report = await api.audit();
    const { differences } = report;
    const count = report.difference_count ?? differences.length;
    if (isJson) io.writeOut(`${JSON.stringify(report, null, 2)}\n`);
    else {
      const style = createStyle(io);
      printPairs(io, [
        ['events', withGroups(report.events)],
        ['blocks', withGroups(report.blocks)],
        ['rollups', withGroups(report.rollups)],
        ['accumulators', withGroups(report.accumulators)],
        ['postings', withGroups(report.postings)],
        ['took', `${(report.duration_ms / 1_000).toFixed(1)} s`],
        ['differences', count === 0 ? style.green('none') : style.red(withGroups(count))],
      ]);
      for (const one of differences.slice(0, 50)) {
        io.writeOut(`  ${one.kind} ${text(one.key)}: expected ${text(one.expected)}, found ${text(one.found)}\n`);
      }
      if (count > 50) io.writeOut(`  and ${withGroups(count - 50)} more; --json prints the first 1,000\n`);
    }
    await context.end(Promise.resolve(count === 0 ? EXIT_CODE.ok : EXIT_CODE.partial));
  });
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
