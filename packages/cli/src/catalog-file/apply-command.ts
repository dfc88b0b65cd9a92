import type { Command } from 'commander';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { CliError } from '../cli-error.ts';
import { type Api, type CatalogApplied, type Problem, ProblemError } from '../client/index.ts';
import type { CommandContext } from '../command-context.ts';
import { readAll } from '../commands/read-json-input.ts';
import { EXIT_CODE, type ExitCode } from '../exit-code.ts';
import { plural } from '../print/number.ts';
import { type CatalogInput, mergeCatalogs, placeText } from './merge-catalogs.ts';
import { parseCatalog } from './parse-catalog.ts';
import { printDifference, summary } from './print-difference.ts';

type ApplyFlags = { readonly dryRun?: boolean; readonly yes?: boolean; readonly exitCode?: boolean };

const STDIN = '-';
/** As much as the server takes, and its JSON is never much longer than the YAML. */
const BYTES_MAX = 4 * 1024 * 1024;

/** `ergon apply`. */
export function addApplyCommand(program: Command, context: CommandContext): void {
  program
    .command('apply')
    .argument('<file...>', 'YAML or JSON files, which add up; - is standard input')
    .description('make the catalog say what a file says: show the difference, check it, apply it in one step')
    .option('--dry-run', 'show and check only')
    .option('--yes', 'on a terminal: do not ask before applying')
    .option('--exit-code', 'with --dry-run: exit with 3 when there is a difference')
    .addHelpText('after', HELP)
    .action((files: string[], flags: ApplyFlags) => context.end(apply(context, files, flags)));
}

const HELP = `
Everything is applied or nothing. What is not in the file stays. On a terminal it asks first; elsewhere it applies.

Examples:
  $ ergon catalog export -o catalog.yaml
  $ ergon apply catalog.yaml --dry-run
  $ ergon apply catalog.yaml
  $ ergon apply meters.yaml plans/*.yaml --yes`;

async function apply(context: CommandContext, files: readonly string[], flags: ApplyFlags): Promise<ExitCode> {
  const { io } = context;
  const input = await readInput(context, files);
  let code: ExitCode = EXIT_CODE.ok;
  await context.withApi(async (api, isJson) => {
    const shown = await checked(input, () => api.dryRunCatalog(input.value));
    const isDifferent = shown.differences.length > 0;
    if (!isJson) {
      printDifference(io, shown, input);
      io.writeOut(`${summary(shown)}\n`);
    }
    if (flags.dryRun === true || !isDifferent) {
      if (isJson) io.writeOut(`${JSON.stringify(shown, null, 2)}\n`);
      if (flags.exitCode === true && isDifferent) code = EXIT_CODE.partial;
      return;
    }
    if (!isJson && flags.yes !== true && io.isOutTty && !(await isAgreed(context, files))) {
      io.writeOut('Nothing is applied.\n');
      code = EXIT_CODE.failed;
      return;
    }
    const done = await checked(input, () => applied(api, input, shown));
    io.writeOut(isJson ? `${JSON.stringify(done, null, 2)}\n` : doneText(done));
  });
  return code;
}

function doneText({ created, changed, revision }: CatalogApplied): string {
  return `Applied: ${created} created, ${changed} changed. Revision ${revision}.\n`;
}

/** What was shown, or nothing: whoever changed the catalog meanwhile is told to the one who looked at the difference. */
function applied(api: Api, input: CatalogInput, shown: CatalogApplied): Promise<CatalogApplied> {
  return api.applyCatalog(input.value, shown.difference_id, randomUUID());
}

async function isAgreed({ io }: CommandContext, files: readonly string[]): Promise<boolean> {
  if (files.includes(STDIN)) {
    throw new CliError(EXIT_CODE.usage, 'the file came from standard input, so nobody can be asked', 'Add --yes.');
  }
  io.writeOut('Apply? [y/N] ');
  let answer = '';
  for await (const chunk of io.readIn()) {
    answer += Buffer.from(chunk).toString('utf8');
    if (answer.includes('\n')) break;
  }
  return /^\s*y(es)?\s*$/i.test(answer.split('\n')[0] ?? '');
}

async function readInput(context: CommandContext, files: readonly string[]): Promise<CatalogInput> {
  const parsed = [];
  let bytes = 0;
  for (const file of files) {
    const text = file === STDIN ? await readAll(context) : readText(resolve(context.io.cwd, file));
    bytes += Buffer.byteLength(text);
    if (bytes > BYTES_MAX) throw new CliError(EXIT_CODE.usage, `more than ${BYTES_MAX} bytes of catalog`, 'Divide it.');
    parsed.push(parseCatalog(file === STDIN ? 'standard input' : file, text));
  }
  const input = mergeCatalogs(parsed);
  const [first] = input.faults;
  if (first === undefined) return input;
  const lines = input.faults.map(({ place, message }) => `${placeText(place)}: ${message}`);
  throw new CliError(EXIT_CODE.usage, `${plural(lines.length, 'problem')} in the file`, lines.join('\n  '));
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CliError(EXIT_CODE.usage, `cannot read ${path}: ${reason}`);
  }
}

/** A refusal names members of the catalog; a person looks for lines of a file. */
async function checked<T>(input: CatalogInput, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (!(error instanceof ProblemError) || error.problem.faults.every((one) => one.pointer === undefined)) throw error;
    throw new CliError(EXIT_CODE.failed, error.problem.detail, located(error.problem, input));
  }
}

function located({ faults }: Problem, input: CatalogInput): string {
  return faults
    .map(({ pointer, text }) => {
      const place = pointer === undefined ? undefined : input.placeOf(pointer);
      return `${place === undefined ? '' : `${placeText(place)}: `}${pointer ?? ''}: ${text}`;
    })
    .join('\n  ');
}
