import type { Command } from 'commander';
import { randomUUID } from 'node:crypto';
import type { WebhookEndpoint } from '../client/index.ts';
import type { CommandContext } from '../command-context.ts';
import { createStyle } from '../print/style.ts';
import { printTable } from '../print/table.ts';
import { cursorHint, type ListFlags, withListOptions } from './list-options.ts';

type DeliveryFlags = ListFlags & { readonly status?: string; readonly type?: string; readonly customer?: string };

/** `ergon webhooks`. */
export function addWebhookCommands(program: Command, context: CommandContext): void {
  const webhooks = program.command('webhooks').description('what Ergon tells your systems, signed');
  webhooks
    .command('list')
    .description('all endpoints, without their secrets')
    .action(() => listEndpoints(context));
  webhooks
    .command('create')
    .argument('<url>', 'an https address')
    .description('make an endpoint; its secret is shown once')
    .option(
      '--type <type>',
      'only these events, or families such as wallet.*; again for each',
      (value: string, before: string[]) => [...before, value],
      [],
    )
    .addHelpText('after', "\nExample:\n  $ ergon webhooks create https://example.com/hooks/ergon --type 'wallet.*'")
    .action((url: string, flags: { type: string[] }) =>
      context.withApi(async (api, isJson) =>
        showSecret(context, await api.createWebhook({ url, event_types: flags.type }, randomUUID()), isJson),
      ),
    );
  webhooks
    .command('rotate')
    .argument('<id>')
    .description('a new secret; the old one signs too for a day')
    .action((id: string) =>
      context.withApi(async (api, isJson) => showSecret(context, await api.rotateWebhook(id), isJson)),
    );
  addActs(webhooks, context);
  withListOptions(webhooks.command('deliveries').description('what was sent, newest first'))
    .option('--status <status>', 'pending, delivered or dead')
    .option('--type <type>', 'one type of event')
    .option('--customer <customer>', 'about one customer')
    .action((flags: DeliveryFlags) => listDeliveries(context, flags));
}

function addActs(webhooks: Command, context: CommandContext): void {
  const say = (isJson: boolean, value: unknown, text: string): void =>
    context.io.writeOut(isJson ? `${JSON.stringify(value, null, 2)}\n` : `${text}\n`);
  webhooks
    .command('test')
    .argument('<id>')
    .description('send a test event')
    .action((id: string) =>
      context.withApi(async (api, isJson) => say(isJson, await api.testWebhook(id), 'A webhook.test is on its way.')),
    );
  webhooks
    .command('delete')
    .argument('<id>')
    .description('delete an endpoint with what waits for it')
    .action((id: string) =>
      context.withApi(async (api, isJson) => {
        await api.deleteWebhook(id);
        say(isJson, { id, deleted: true }, `Deleted ${id}.`);
      }),
    );
  webhooks
    .command('replay')
    .argument('<delivery>')
    .description('send a delivery again')
    .action((id: string) =>
      context.withApi(async (api, isJson) => {
        const delivery = await api.replayDelivery(id);
        say(isJson, delivery, `Delivery ${delivery.id} is ${delivery.status}.`);
      }),
    );
}

async function listEndpoints(context: CommandContext): Promise<void> {
  await context.withApi(async (api, isJson) => {
    const page = await api.listWebhooks();
    if (isJson) {
      context.io.writeOut(`${JSON.stringify(page, null, 2)}\n`);
      return;
    }
    if (page.data.length === 0) {
      context.io.writeOut('No endpoints. `ergon webhooks create https://…` makes one.\n');
      return;
    }
    printTable(
      context.io,
      [{ name: 'endpoint' }, { name: 'url' }, { name: 'types' }, { name: 'state' }],
      page.data.map((one) => [
        one.id,
        one.url,
        one.event_types.length === 0 ? 'all' : one.event_types.join(', '),
        one.enabled ? 'enabled' : `disabled: ${one.disabled_reason ?? ''}`,
      ]),
    );
  });
}

function showSecret(context: CommandContext, endpoint: WebhookEndpoint, isJson: boolean): void {
  if (isJson) {
    context.io.writeOut(`${JSON.stringify(endpoint, null, 2)}\n`);
    return;
  }
  const style = createStyle(context.io);
  context.io.writeOut(`Endpoint ${style.bold(endpoint.id)} for ${endpoint.url}.\n`);
  context.io.writeOut(`Its signing secret, shown once: ${style.bold(endpoint.secret ?? '')}\n`);
}

async function listDeliveries(context: CommandContext, flags: DeliveryFlags): Promise<void> {
  await context.withApi(async (api, isJson) => {
    const { limit, cursor, status, type, customer } = flags;
    const page = await api.listDeliveries({ limit, cursor, status, type, customer });
    if (isJson) {
      context.io.writeOut(`${JSON.stringify(page, null, 2)}\n`);
      return;
    }
    if (page.data.length === 0) {
      context.io.writeOut('No deliveries.\n');
      return;
    }
    printTable(
      context.io,
      [
        { name: 'delivery' },
        { name: 'happened' },
        { name: 'type' },
        { name: 'customer' },
        { name: 'status' },
        { name: 'attempts', align: 'right' },
        { name: 'last error' },
      ],
      page.data.map((one) => [
        one.id,
        one.occurred_at,
        one.type,
        one.customer ?? '-',
        one.status,
        String(one.attempts),
        one.last_error ?? '',
      ]),
    );
    cursorHint(context.io, page);
  });
}
