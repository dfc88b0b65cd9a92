import type { Command } from 'commander';
import type { CommandContext } from '../command-context.ts';
import { printTable } from '../print/table.ts';

type AlertFlags = {
  readonly wallet: string;
  readonly amount: readonly string[];
  readonly hours: readonly string[];
  readonly clear?: boolean;
};

const collect = (value: string, before: readonly string[]): string[] => [...before, value];

/** `ergon alerts`. */
export function addAlertCommand(program: Command, context: CommandContext): void {
  program
    .command('alerts')
    .argument('<customer>')
    .description('levels of a wallet whose crossing is told by webhook; without levels, those that are set')
    .option('--wallet <wallet>', 'the wallet', 'default')
    .option('--amount <amount>', 'when less than this is available; again for each', collect, [])
    .option('--hours <hours>', 'when the forecast lasts less; again for each', collect, [])
    .option('--clear', 'no alerts any more')
    .addHelpText('after', '\nExample:\n  $ ergon alerts acme --amount 50 --amount 10 --hours 24')
    .action((customer: string, flags: AlertFlags) => alerts(context, customer, flags));
}

async function alerts(context: CommandContext, customer: string, flags: AlertFlags): Promise<void> {
  const at = { customer, wallet: flags.wallet };
  const isSet = flags.clear === true || flags.amount.length + flags.hours.length > 0;
  await context.withApi(async (api, isJson) => {
    const kept = isSet
      ? await api.putAlerts(at, { amounts: flags.amount, hours_left: flags.hours })
      : await api.getAlerts(at);
    if (isJson) {
      context.io.writeOut(`${JSON.stringify(kept, null, 2)}\n`);
      return;
    }
    if (kept.data.length === 0) {
      context.io.writeOut('No alerts.\n');
      return;
    }
    printTable(
      context.io,
      [{ name: 'alert' }, { name: 'level', align: 'right' }, { name: 'now' }, { name: 'crossed', align: 'right' }],
      kept.data.map((one) => [
        one.kind === 'amount' ? 'available below' : 'hours left below',
        one.level,
        one.is_below ? 'below' : 'above',
        String(one.crossings),
      ]),
    );
  });
}
