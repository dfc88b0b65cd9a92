import { type Command, Option } from 'commander';
import type { CreatedKey } from '../client/index.ts';
import type { CommandContext } from '../command-context.ts';
import { whole } from '../compute/whole.ts';
import { createStyle } from '../print/style.ts';
import { printTable } from '../print/table.ts';
import { parseInstantFlag } from './parse-instant-flag.ts';

type KeyFlags = {
  readonly role: string;
  readonly scope: readonly string[];
  readonly expires?: string;
  readonly requestsPerMinute?: number;
};

/** `ergon keys`. */
export function addKeyCommands(program: Command, context: CommandContext): void {
  const keys = program.command('keys').description('API keys of this environment');
  keys
    .command('list')
    .description('all keys, without their secrets')
    .action(() => listKeys(context));
  keys
    .command('create')
    .argument('<name>', 'what the key is for')
    .description('make a key; its secret is shown once')
    .addOption(
      new Option('--role <role>', 'what it may do').choices(['admin', 'billing', 'read', 'ingest']).default('ingest'),
    )
    .option(
      '--scope <scope>',
      'one scope more, such as events:backfill; again for each',
      (value: string, before: string[]) => [...before, value],
      [],
    )
    .option('--expires <time>', 'when it ends, e.g. 2027-01-01')
    .option('--requests-per-minute <n>', 'a rate limit of its own', whole(1, 10_000_000))
    .addHelpText('after', '\nExample:\n  $ ergon keys create backfill --role ingest --scope events:backfill')
    .action((name: string, flags: KeyFlags) => createKey(context, name, flags));
  keys
    .command('rotate')
    .argument('<id>')
    .description('give a key a new secret')
    .action((id: string) =>
      context.withApi(async (api, isJson) => showSecret(context, await api.rotateKey(id), isJson)),
    );
  keys
    .command('revoke')
    .argument('<id>')
    .description('end a key at once')
    .action((id: string) =>
      context.withApi(async (api, isJson) => {
        await api.revokeKey(id);
        context.io.writeOut(isJson ? `${JSON.stringify({ id, revoked: true })}\n` : `Revoked ${id}.\n`);
      }),
    );
}

async function listKeys(context: CommandContext): Promise<void> {
  await context.withApi(async (api, isJson) => {
    const page = await api.listKeys();
    if (isJson) {
      context.io.writeOut(`${JSON.stringify(page, null, 2)}\n`);
      return;
    }
    printTable(
      context.io,
      [{ name: 'key' }, { name: 'name' }, { name: 'role' }, { name: 'expires' }, { name: '' }],
      page.data.map((one) => [
        one.id,
        one.name,
        one.role,
        one.expires_at ?? 'never',
        one.revoked_at === undefined || one.revoked_at === null ? '' : 'revoked',
      ]),
    );
  });
}

async function createKey(context: CommandContext, name: string, flags: KeyFlags): Promise<void> {
  await context.withApi(async (api, isJson) => {
    const created = await api.createKey({
      name,
      role: flags.role,
      ...(flags.scope.length > 0 && { scopes: flags.scope }),
      ...(flags.expires !== undefined && { expires_at: parseInstantFlag(flags.expires, '--expires') }),
      ...(flags.requestsPerMinute !== undefined && { requests_per_minute: flags.requestsPerMinute }),
    });
    showSecret(context, created, isJson);
  });
}

function showSecret({ io }: CommandContext, created: CreatedKey, isJson: boolean): void {
  if (isJson) {
    io.writeOut(`${JSON.stringify(created, null, 2)}\n`);
    return;
  }
  const { id, name, role, key = '(shown before; rotate the key for a new one)' } = created;
  io.writeOut(`${createStyle(io).bold(key)}\nKey ${id} (${name}, ${role}). The secret is not shown again.\n`);
}
