import { add, parseDecimal, toText, ZERO } from '@ergon/exact';
import { TOKEN_CLASSES, type TokenClass } from '@ergon/usage';
import { CliError } from '../../cli-error.ts';
import { EXIT_CODE, type ExitCode } from '../../exit-code.ts';
import type { CliIo } from '../../io.ts';
import { amount, plural, withGroups } from '../../print/number.ts';
import { createStyle } from '../../print/style.ts';
import { printTable } from '../../print/table.ts';
import type { DryRun } from '../dry-run.ts';
import { listPrices } from '../list-prices.ts';
import { AGENTS } from './agents.ts';
import { type Surveyed, surveyAgent } from './survey.ts';

/** `ergon import --dry-run`: what the agents of this machine have used, without a server and without a customer. */
export async function surveyLogs(io: CliIo, flags: { dryRun?: boolean; json?: boolean }): Promise<ExitCode> {
  if (flags.dryRun !== true) {
    throw new CliError(
      EXIT_CODE.usage,
      'say what to import',
      `One of cloudevents, csv, ${AGENTS.map((agent) => agent.name).join(', ')}; or --dry-run, to see what is on this machine.`,
    );
  }
  const prices = await listPrices(io.nowMs());
  const surveyed: Surveyed[] = [];
  for (const agent of AGENTS) surveyed.push(await surveyAgent(io, agent, prices));
  if (flags.json === true)
    io.writeOut(`${JSON.stringify({ dry_run: true, sources: surveyed.map(toJson) }, null, 2)}\n`);
  else print(io, surveyed, prices.source);
  return surveyed.some((one) => (one.found?.unreadable ?? 0) > 0) ? EXIT_CODE.partial : EXIT_CODE.ok;
}

function toJson({ agent, places, files, found, notes, issues }: Surveyed): unknown {
  return {
    agent: agent.name,
    looked_in: places,
    files,
    calls: found?.events ?? 0,
    unreadable: found?.unreadable ?? 0,
    from: found?.from ?? null,
    to: found?.to ?? null,
    models: found?.models ?? {},
    tokens: found?.tokens ?? {},
    list_price: found?.cost ?? null,
    notes,
    issues,
  };
}

const INPUT: readonly TokenClass[] = ['input', 'tool_use', 'input_audio', 'input_image', 'input_video'];
const CACHE_WRITE: readonly TokenClass[] = ['cache_write_5m', 'cache_write_1h'];
const CACHE_READ: readonly TokenClass[] = ['cache_read'];

function print(io: CliIo, surveyed: readonly Surveyed[], source: string): void {
  const style = createStyle(io);
  const present = surveyed.flatMap(({ agent, files, found }) => (found === undefined ? [] : [{ agent, files, found }]));
  io.writeOut('Dry run: nothing was sent.\n\n');
  if (present.length > 0) {
    printTable(
      io,
      [
        { name: 'agent' },
        { name: 'logs', align: 'right' },
        { name: 'calls', align: 'right' },
        { name: 'from' },
        { name: 'to' },
        { name: 'input', align: 'right' },
        { name: 'cache write', align: 'right' },
        { name: 'cache read', align: 'right' },
        { name: 'output', align: 'right' },
        { name: 'USD', align: 'right' },
      ],
      present.map(({ agent, files, found }) => [
        agent.name,
        withGroups(files),
        withGroups(found.events),
        found.from?.slice(0, 10) ?? '-',
        found.to?.slice(0, 10) ?? '-',
        tokens(found, INPUT),
        tokens(found, CACHE_WRITE),
        tokens(found, CACHE_READ),
        tokens(
          found,
          TOKEN_CLASSES.filter((name) => ![...INPUT, ...CACHE_WRITE, ...CACHE_READ].includes(name)),
        ),
        amount(found.cost.amount),
      ]),
    );
    const total = present.reduce((sum, { found }) => add(sum, parseDecimal(found.cost.amount) ?? ZERO), ZERO);
    io.writeOut(`${style.dim(`USD at list prices (${source}), in all`)} ${amount(toText(total))}\n`);
  }
  for (const { agent, notes, issues, found } of surveyed) {
    for (const note of notes) io.writeOut(`\n  ${agent.title}: ${note}`);
    const unpriced = Object.entries(found?.cost.unpriced ?? {});
    if (unpriced.length > 0) {
      io.writeOut(
        `\n  ${agent.title}: without a list price: ${unpriced.map(([model, calls]) => `${model} (${withGroups(calls)})`).join(', ')}.`,
      );
    }
    for (const issue of issues) io.writeOut(`\n  not readable: ${issue}`);
  }
  if (surveyed.some(({ notes, issues }) => notes.length + issues.length > 0)) io.writeOut('\n');
  const absent = surveyed.filter((one) => one.found === undefined);
  if (absent.length > 0) {
    io.writeOut(
      `${present.length > 0 ? '\n' : ''}No logs of ${plural(absent.length, 'agent')} on this machine. Looked in\n`,
    );
    for (const { agent, places } of absent) io.writeOut(`  ${agent.name.padEnd(12)} ${places.join(', ')}\n`);
  }
  const [first] = present;
  if (first !== undefined) io.writeOut(`\nImport them: ergon import ${first.agent.name} --customer ID\n`);
  else io.writeOut('\nLogs elsewhere? Name them: ergon import claude-code PATH --dry-run\n');
}

function tokens(found: DryRun, classes: readonly TokenClass[]): string {
  return withGroups(String(classes.reduce((sum, name) => sum + BigInt(found.tokens[name] ?? '0'), 0n)));
}
