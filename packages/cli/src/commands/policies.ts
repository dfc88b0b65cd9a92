import type { Command } from 'commander';
import type { CommandContext } from '../command-context.ts';
import { EXIT_CODE } from '../exit-code.ts';
import { printTable } from '../print/table.ts';
import { cursorHint, type ListFlags, withListOptions } from './list-options.ts';
import { readJsonInput } from './read-json-input.ts';

type DecisionFlags = ListFlags & { readonly customer?: string; readonly action?: string; readonly policy?: string };

/** `ergon policies`. */
export function addPolicyCommands(program: Command, context: CommandContext): void {
  const policies = program.command('policies').description('rules that admit, warn, cap or refuse');
  policies
    .command('list')
    .description('those in force')
    .action(() => listPolicies(context));
  policies
    .command('put')
    .argument('<key>')
    .argument('<file>', 'a JSON document; - is standard input')
    .description('publish a version; the same document again changes nothing')
    .addHelpText('after', '\nExample:\n  $ ergon policies put dear-calls policy.json')
    .action((key: string, file: string) =>
      context.withApi(async (api, isJson) => {
        const policy = await api.putPolicy(key, await readPolicy(context, file));
        context.io.writeOut(
          isJson
            ? `${JSON.stringify(policy, null, 2)}\n`
            : `Policy ${policy.key} version ${policy.version} is in force (${policy.document.mode}).\n`,
        );
      }),
    );
  policies
    .command('end')
    .argument('<key>')
    .description('ask it no more')
    .action((key: string) =>
      context.withApi(async (api, isJson) => {
        await api.endPolicy(key);
        context.io.writeOut(isJson ? `${JSON.stringify({ key, ended: true })}\n` : `Ended ${key}.\n`);
      }),
    );
  policies
    .command('replay')
    .argument('<key>')
    .argument('[file]', 'a document to try in its place; without it, the record is checked')
    .description('decide recorded decisions again, on their recorded inputs')
    .addHelpText('after', '\nExample:\n  $ ergon policies replay dear-calls proposal.json')
    .action((key: string, file: string | undefined) => context.end(replay(context, key, file)));
  withListOptions(policies.command('decisions').description('what was decided, newest first'))
    .option('--customer <customer>', 'about one customer')
    .option('--action <action>', 'such as refuse')
    .option('--policy <key>', 'that one policy was asked about')
    .action((flags: DecisionFlags) => listDecisions(context, flags));
}

function readPolicy(context: CommandContext, file: string): Promise<unknown> {
  return readJsonInput(context, file, 'the policy', 'docs/policies.md has one.');
}

async function listPolicies(context: CommandContext): Promise<void> {
  await context.withApi(async (api, isJson) => {
    const page = await api.listPolicies();
    if (isJson) {
      context.io.writeOut(`${JSON.stringify(page, null, 2)}\n`);
      return;
    }
    if (page.data.length === 0) {
      context.io.writeOut('No policies.\n');
      return;
    }
    printTable(
      context.io,
      [
        { name: 'policy' },
        { name: 'version', align: 'right' },
        { name: 'mode' },
        { name: 'actions' },
        { name: 'since' },
      ],
      page.data.map((one) => [
        one.key,
        String(one.version),
        one.document.mode,
        one.document.ladder.map(({ action }) => action).join(', '),
        one.created_at,
      ]),
    );
  });
}

/** Exit code 3 where the record itself does not replay: it was changed. */
async function replay(context: CommandContext, key: string, file: string | undefined): Promise<0 | 3> {
  let code: 0 | 3 = EXIT_CODE.ok;
  await context.withApi(async (api, isJson) => {
    const document = file === undefined ? undefined : await readPolicy(context, file);
    const found = await api.replayPolicy(key, document === undefined ? {} : { document });
    if (file === undefined && found.different.length > 0) code = EXIT_CODE.partial;
    if (isJson) {
      context.io.writeOut(`${JSON.stringify(found, null, 2)}\n`);
      return;
    }
    context.io.writeOut(`${found.decisions} decisions: ${found.same} the same, ${found.different.length} different.\n`);
    if (found.different.length === 0) return;
    printTable(
      context.io,
      [{ name: 'decision' }, { name: 'at' }, { name: 'customer' }, { name: 'recorded' }, { name: 'replayed' }],
      found.different.map((one) => [one.decision, one.at, one.customer ?? '-', one.recorded, one.replayed]),
    );
  });
  return code;
}

async function listDecisions(context: CommandContext, flags: DecisionFlags): Promise<void> {
  await context.withApi(async (api, isJson) => {
    const { limit, cursor, customer, action, policy } = flags;
    const page = await api.listDecisions({ limit, cursor, customer, action, policy });
    if (isJson) {
      context.io.writeOut(`${JSON.stringify(page, null, 2)}\n`);
      return;
    }
    if (page.data.length === 0) {
      context.io.writeOut('No decisions.\n');
      return;
    }
    printTable(
      context.io,
      [
        { name: 'decision' },
        { name: 'at' },
        { name: 'customer' },
        { name: 'subject' },
        { name: 'action' },
        { name: 'by' },
      ],
      page.data.map((one) => [
        one.id,
        one.at,
        one.customer ?? '-',
        one.subject ?? '-',
        one.action,
        one.matches.map((match) => `${match.policy} (${match.mode})`).join(', '),
      ]),
    );
    cursorHint(context.io, page);
  });
}
