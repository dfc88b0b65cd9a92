import type { Command } from 'commander';
import type { QualityFinding } from '../client/index.ts';
import type { CommandContext } from '../command-context.ts';
import type { CliIo } from '../io.ts';
import { plural } from '../print/number.ts';
import { createStyle } from '../print/style.ts';
import { printPairs } from '../print/table.ts';
import { parseInstantFlag } from './parse-instant-flag.ts';

type Flags = { readonly from?: string; readonly to?: string };

/** `ergon data-quality`. */
export function addDataQualityCommand(program: Command, context: CommandContext): void {
  program
    .command('data-quality')
    .argument('<customer>')
    .description("what is wrong with a customer's usage: the mistakes that bill wrongly, counted, with what to do")
    .option('--from <time>', 'received since (default: 90 days ago)')
    .option('--to <time>', 'received before (default: now)')
    .addHelpText('after', '\nExample:\n  $ ergon data-quality acme')
    .action((customer: string, flags: Flags) =>
      context.withApi(async (api, isJson) => {
        const page = await api.listDataQuality(customer, {
          from: flags.from === undefined ? undefined : parseInstantFlag(flags.from, '--from'),
          to: flags.to === undefined ? undefined : parseInstantFlag(flags.to, '--to'),
        });
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
