import { type Command, InvalidArgumentError, Option } from 'commander';
import { CliError } from '../cli-error.ts';
import type { CommandContext } from '../command-context.ts';
import { EXIT_CODE } from '../exit-code.ts';
import type { AgentLog } from './agent-logs/agent-log.ts';
import { AGENTS } from './agent-logs/agents.ts';
import { agentLogPlan } from './agent-logs/plan.ts';
import { surveyLogs } from './agent-logs/survey-command.ts';
import { cloudEventsPlan } from './cloudevents/plan.ts';
import { type CsvFlags, csvPlan } from './csv/plan.ts';
import { CSV_PRESETS } from './csv/presets.ts';
import { fileInputs } from './file-input.ts';
import { type ImportFlags, runImport } from './run-import.ts';

/** `ergon import <kind>`. */
export function addImportCommand(program: Command, context: CommandContext): void {
  const group = program
    .command('import')
    .description(
      'bring recorded usage into Ergon: from a file, from standard input (-), or from the logs of coding agents',
    )
    .option('--dry-run', 'look for the logs of every agent and say what is in them; sends nothing, needs no server')
    .addHelpText('after', IMPORT_HELP)
    .action(async (flags: { dryRun?: boolean }) => {
      await context.end(surveyLogs(context.io, { ...flags, ...context.globals() }));
    });
  addCloudEvents(group, context);
  addCsv(group, context);
  for (const agent of AGENTS) addAgent(group, context, agent);
}

const IMPORT_HELP = `
An import may be repeated and interrupted: every event has a permanent identity (source, id), so what is recorded already
is a duplicate and changes nothing. Files may be compressed with gzip or zstd. It goes into the running server, or where
none runs straight into the data directory. docs/import.md has the rules.

Examples:
  $ ergon import cloudevents events.ndjson.gz
  $ ergon import csv AzureLLMInferenceTrace_code.csv --preset azure-llm-trace --set model=gpt-4o --customer acme
  $ ergon import csv calls.csv --customer acme --type llm.call --id-from request_id \\
      --map time=created_at --map model=model --map tokens.input=prompt --map tokens.output=completion
  $ ergon import --dry-run
  $ ergon import claude-code --customer engineering
  $ zcat calls.ndjson.gz | ergon import cloudevents - --dry-run`;

/** The options of the kind, of `import` and of `ergon` itself: `--dry-run` belongs to both, wherever it stands. */
function allFlags(command: Command, flags: ImportFlags): ImportFlags {
  return { ...flags, ...command.optsWithGlobals<ImportFlags>() };
}

function addCommonOptions(command: Command): Command {
  return command
    .option('--dry-run', 'read everything, say what would be sent, and send nothing')
    .option('--no-resume', 'start at the beginning, also where an import was interrupted')
    .addOption(
      new Option('--concurrency <n>', 'requests of 500 events under way at once').default(4).argParser(wholeNumber),
    )
    .option('--rejects <file>', 'write every record that is not imported, and why, to this file as NDJSON');
}

function addCloudEvents(group: Command, context: CommandContext): void {
  const command = group
    .command('cloudevents')
    .argument('<file...>', 'files of one event a line (NDJSON) or of a JSON array; - is standard input')
    .description('events in the CloudEvents format, as POST /v1/events takes them')
    .option('--customer <id>', 'the customer of events that name none in "subject"')
    .option('--source <name>', 'the source of events that name none', 'import');
  addCommonOptions(command).action(
    async (paths: string[], flags: ImportFlags & { customer?: string; source: string }) => {
      const all = allFlags(command, flags);
      await context.end(runImport(context.io, cloudEventsPlan(fileInputs(context.io, paths), flags), all));
    },
  );
}

function addCsv(group: Command, context: CommandContext): void {
  const command = group
    .command('csv')
    .argument('<file...>', 'CSV files with a header line; - is standard input')
    .description('any CSV, by naming what its columns mean')
    .option('--customer <id>', 'the customer (or --map customer=COLUMN)')
    .addOption(new Option('--preset <name>', 'a mapping for a public format').choices([...CSV_PRESETS.keys()]))
    .option('--map <target=column>', 'take a value from a column; again for each', collect, [])
    .option('--set <target=value>', 'the same value in every event; again for each', collect, [])
    .option('--type <type>', 'the event type, such as llm.call')
    .option('--source <name>', 'the source of the events (default: csv, or the preset’s)')
    .option(
      '--id-from <columns>',
      'columns whose values identify a row, joined by commas; or "row": a hash over the rows',
      'row',
    )
    .option('--delimiter <character>', 'between cells; "tab" for a tab', ',')
    .option(
      '--time-format <format>',
      'auto, unix, unix-ms, unix-us, unix-ns, or a pattern such as "DD.MM.YYYY HH:mm:ss"',
      'auto',
    )
    .option('--time-zone <offset>', 'of times without one: UTC or an offset such as +02:00', 'UTC')
    .option('--null <text>', 'a cell with this text is empty; again for each', collect, ['NULL'])
    .addHelpText('after', CSV_HELP);
  addCommonOptions(command).action(async (paths: string[], flags: ImportFlags & CsvFlags) => {
    const all = allFlags(command, flags);
    await context.end(runImport(context.io, csvPlan(fileInputs(context.io, paths), flags), all));
  });
}

const CSV_HELP = `
Targets: time, customer, type, and any path inside "data": model, provider, status, user, feature, run_id, tokens.input,
tokens.cache_read, tokens.output, usage.prompt_tokens, properties.region, ... Numbers are read as such under tokens, usage
and *_ms; elsewhere say so: --map properties.seconds=Duration:number (also :integer, :boolean, :string).

Presets:
${[...CSV_PRESETS].map(([name, preset]) => `  ${name}: ${preset.summary}`).join('\n')}

Examples:
  $ ergon import csv trace.csv --preset azure-llm-trace --customer acme --dry-run
  $ ergon import csv jobs.csv --customer acme --type gpu.job --id-from job_id \\
      --map time=finished --map properties.seconds=gpu_seconds:number --map properties.region=region`;

function addAgent(group: Command, context: CommandContext, agent: AgentLog): void {
  const command = group
    .command(agent.name)
    .argument('[path...]', 'log files or directories (default: where the agent keeps them)')
    .description(`the logs of ${agent.title}: every call once, however often the logs repeat it`)
    .option('--customer <id>', 'the customer who pays')
    .option(
      '--set <target=value>',
      'the same value in every event, such as user=ada or team=core; again for each',
      collect,
      [],
    )
    .addHelpText('after', agentHelp(agent));
  addCommonOptions(command).action(
    async (paths: string[], flags: ImportFlags & { customer?: string; set: string[] }) => {
      const { customer } = flags;
      const all = allFlags(command, flags);
      if (customer === undefined && all.dryRun !== true) {
        throw new CliError(
          EXIT_CODE.usage,
          'no customer',
          'Say who pays with --customer ID, or look first with --dry-run.',
        );
      }
      const plan = agentLogPlan(context.io, agent, paths, { customer, set: flags.set });
      await context.end(runImport(context.io, plan, all));
    },
  );
}

function agentHelp({ name }: AgentLog): string {
  return `
Examples:
  $ ergon import ${name} --dry-run
  $ ergon import ${name} --customer engineering --set user=ada
  $ ergon import ${name} backups/logs --customer engineering`;
}

function collect(value: string, before: string[]): string[] {
  return [...before, value];
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 32)
    throw new InvalidArgumentError('expected a whole number from 1 to 32');
  return value;
}
