import { charactersPerToken, TEXT_KINDS, tokenExchangeRate, TOKENIZER_RATES, TOKENIZERS } from '@ergon/compute';
import { type Command, Option } from 'commander';
import type { Tokenizer } from '@ergon/compute';
import type { CommandContext } from '../command-context.ts';
import { createStyle } from '../print/style.ts';
import { printTable } from '../print/table.ts';

/** `ergon tokenizers`: how many tokens the same text takes with other vocabularies. Needs no server. */
export function addTokenizersCommand(program: Command, context: CommandContext): void {
  program
    .command('tokenizers')
    .description('exchange rates: how many tokens the same text takes elsewhere')
    .addOption(new Option('--per <tokenizer>', 'one token of this vocabulary').choices(TOKENIZERS).default('o200k'))
    .addHelpText('after', HELP)
    .action((flags: { readonly per: Tokenizer }) => {
      if (context.globals().json === true) context.io.writeOut(`${JSON.stringify(toJson(flags.per), null, 2)}\n`);
      else print(context, flags.per);
    });
}

const HELP = `
A token is not a unit of text: the same page in Hindi is three times as many tokens in one vocabulary as in another. The
vocabularies of Claude from 3 on and of Gemini are not public and are left out.

Examples:
  $ ergon tokenizers
  $ ergon tokenizers --per llama-3 --json`;

function toJson(per: Tokenizer) {
  return {
    per,
    measured_on: TOKENIZER_RATES.measuredOn,
    data: TOKENIZER_RATES.data,
    rates: TEXT_KINDS.flatMap((kind) =>
      TOKENIZERS.map((tokenizer) => ({ text: kind, tokenizer, tokens: tokenExchangeRate(per, tokenizer, kind) })),
    ),
  };
}

function print({ io }: CommandContext, per: Tokenizer): void {
  const style = createStyle(io);
  printTable(
    io,
    [
      { name: 'text' },
      { name: 'characters a token', align: 'right' },
      ...TOKENIZERS.map((name) => ({ name, align: 'right' as const })),
    ],
    TEXT_KINDS.map((kind) => [
      kind,
      charactersPerToken(per, kind).toFixed(2),
      ...TOKENIZERS.map((name) => tokenExchangeRate(per, name, kind).expected.toFixed(2)),
    ]),
  );
  io.writeOut(style.dim(`tokens for one of ${per}, over the same text; measured ${TOKENIZER_RATES.measuredOn}\n`));
}
