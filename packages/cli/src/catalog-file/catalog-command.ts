import type { Command } from 'commander';
import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { stringify } from 'yaml';
import type { CommandContext } from '../command-context.ts';

type OutFlags = { readonly output?: string };
type ExportFlags = OutFlags & { readonly kinds?: string };

/** `ergon catalog export|schema`. */
export function addCatalogFileCommands(program: Command, context: CommandContext): void {
  const catalog = program.command('catalog').description('the catalog as one file, for `ergon apply`');
  catalog
    .command('export')
    .description('what is in force and what is to come, as YAML; with --json as JSON')
    .option('-o, --output <file>', 'a file instead of standard output')
    .option('--kinds <kinds>', 'some kinds only: meters,rate_cards,plans')
    .addHelpText('after', '\nExample:\n  $ ergon catalog export -o catalog.yaml')
    .action((flags: ExportFlags) => exportCatalog(context, flags));
  catalog
    .command('schema')
    .description('the JSON Schema of the file, so that editors complete it')
    .option('-o, --output <file>', 'a file instead of standard output')
    .action((flags: OutFlags) =>
      context.withApi(async (api) => {
        write(context, flags, `${JSON.stringify(await api.getCatalogSchema(), null, 2)}\n`);
      }),
    );
}

async function exportCatalog(context: CommandContext, flags: ExportFlags): Promise<void> {
  await context.withApi(async (api, isJson) => {
    const catalog = await api.exportCatalog(flags.kinds);
    const text = isJson
      ? `${JSON.stringify(catalog, null, 2)}\n`
      : `# yaml-language-server: $schema=${api.catalogSchemaUrl}\n${stringify(catalog, { lineWidth: 0, aliasDuplicateObjects: false })}`;
    write(context, flags, text);
  });
}

function write({ io }: CommandContext, { output }: OutFlags, text: string): void {
  if (output === undefined) io.writeOut(text);
  else writeFileSync(resolve(io.cwd, output), text);
}
