import type { Command } from 'commander';
import type { QualityFinding, SourceComparison } from '../client/index.ts';
import type { CommandContext } from '../command-context.ts';
import type { CliIo } from '../io.ts';
import { plural, withGroups } from '../print/number.ts';
import { createStyle } from '../print/style.ts';
import { printPairs, printTable } from '../print/table.ts';
import { parseInstantFlag } from './parse-instant-flag.ts';

type Flags = { readonly from?: string; readonly to?: string; readonly sources?: boolean };

/** `ergon data-quality`. */
export function addDataQualityCommand(program: Command, context: CommandContext): void {
  program
    .command('data-quality')
    .argument('<customer>')
    .description("what is wrong with a customer's usage: the mistakes that bill wrongly, counted, with what to do")
    .option('--from <time>', 'received since (default: 90 days ago)')
    .option('--to <time>', 'received before (default: now)')
    .option(
      '--sources',
      'compare the sources of the calls that happened in the time (default: 7 days): who sends what twice',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  $ ergon data-quality acme\n  $ ergon data-quality acme --sources --from 2026-11-01',
    )
    .action((customer: string, flags: Flags) =>
      context.withApi(async (api, isJson) => {
        const span = {
          from: flags.from === undefined ? undefined : parseInstantFlag(flags.from, '--from'),
          to: flags.to === undefined ? undefined : parseInstantFlag(flags.to, '--to'),
        };
        if (flags.sources === true) {
          const compared = await api.compareSources(customer, span);
          if (isJson) context.io.writeOut(`${JSON.stringify(compared, null, 2)}\n`);
          else printSources(context.io, compared);
          return;
        }
        const page = await api.listDataQuality(customer, span);
        if (isJson) context.io.writeOut(`${JSON.stringify(page, null, 2)}\n`);
        else print(context.io, customer, page.data);
      }),
    );
}

function print(io: CliIo, customer: string, findings: readonly QualityFinding[]): void {
  const style = createStyle(io);
  if (findings.length === 0) io.writeOut(`Nothing to warn of at ${customer}.\n`);
  for (const [index, { kind, events, first_seen, last_seen, example, detail, remedy }] of findings.entries()) {
    if (index > 0) io.writeOut('\n');
    io.writeOut(`${style.bold(kind)}  ${plural(BigInt(events), 'event')}\n`);
    printPairs(io, [
      ['  seen', `${first_seen} to ${last_seen}`],
      ['  latest', `${example.source} ${example.id}: ${detail}`],
      ['  remedy', remedy],
    ]);
  }
}

function printSources(io: CliIo, { sources, findings, events_examined, is_complete }: SourceComparison): void {
  printTable(
    io,
    [{ name: 'source' }, { name: 'calls', align: 'right' }, { name: 'failed or retried', align: 'right' }],
    sources.map(({ source, calls, failed }) => [source, withGroups(calls), withGroups(failed)]),
  );
  const style = createStyle(io);
  for (const { kind, detail, remedy } of findings) {
    io.writeOut(`\n${style.bold(kind)}  ${detail}\n`);
    printPairs(io, [['  remedy', remedy]]);
  }
  if (findings.length === 0) io.writeOut('\nNothing to warn of.\n');
  if (!is_complete)
    io.writeOut(`\nOnly the first ${plural(events_examined, 'event')}; --from and --to narrow the time.\n`);
}
