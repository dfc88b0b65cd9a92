import type { Command } from 'commander';
import type { ReportedModel } from '../client/index.ts';
import type { CommandContext } from '../command-context.ts';
import type { CliIo } from '../io.ts';
import { amount, withGroups } from '../print/number.ts';
import { printTable } from '../print/table.ts';
import { parseInstantFlag } from './parse-instant-flag.ts';

type Flags = { readonly customer?: string; readonly from?: string; readonly to?: string };

/** `ergon prices models`, `alias` and `unalias`: the names that usage gives models. */
export function addModelCommands(group: Command, context: CommandContext): void {
  group
    .command('models')
    .description('the models that usage names: which are known, and which have no cost')
    .option('--customer <id>', 'of this customer only')
    .option('--from <time>', 'since (default: 30 days ago)')
    .option('--to <time>', 'before (default: now)')
    .action((flags: Flags) =>
      context.withApi(async (api, isJson) => {
        const page = await api.listReportedModels({
          customer: flags.customer,
          from: flags.from === undefined ? undefined : parseInstantFlag(flags.from, '--from'),
          to: flags.to === undefined ? undefined : parseInstantFlag(flags.to, '--to'),
        });
        if (isJson) context.io.writeOut(`${JSON.stringify(page, null, 2)}\n`);
        else print(context.io, page.data);
      }),
    );
  group
    .command('alias')
    .argument('<reported>', 'the name that usage reports, such as a deployment of Azure')
    .argument('<model>', 'the model it stands for')
    .description('say which model a name of your own stands for, from now on')
    .action((reported: string, model: string) =>
      context.withApi(async (api, isJson) => {
        const alias = await api.putModelAlias(reported, model);
        if (isJson) context.io.writeOut(`${JSON.stringify(alias, null, 2)}\n`);
        else context.io.writeOut(`${alias.reported} stands for ${alias.canonical_model}.\n`);
      }),
    );
  group
    .command('unalias')
    .argument('<reported>')
    .description('take an alias back; what was recorded while it stood stays as it is')
    .action((reported: string) =>
      context.withApi(async (api, isJson) => {
        await api.deleteModelAlias(reported);
        context.io.writeOut(
          isJson ? `${JSON.stringify({ reported, unaliased: true })}\n` : `${reported} is no alias any more.\n`,
        );
      }),
    );
}

function print(io: CliIo, models: readonly ReportedModel[]): void {
  if (models.length === 0) {
    io.writeOut('No usage in this time.\n');
    return;
  }
  printTable(
    io,
    [
      { name: 'reported' },
      { name: 'provider' },
      { name: 'stands for' },
      { name: 'family' },
      { name: 'requests', align: 'right' },
      { name: 'without cost', align: 'right' },
      { name: 'cost (USD)', align: 'right' },
      { name: 'why' },
    ],
    models.map((one) => [
      one.model ?? '-',
      one.provider ?? '-',
      one.canonical_model ?? 'unknown',
      one.model_family ?? '-',
      withGroups(one.requests),
      withGroups(one.requests_without_cost),
      amount(one.provider_cost),
      one.requests_without_cost === '0' ? '' : (one.reason ?? 'no usage told, or a price set since'),
    ]),
  );
}
