import type { Interval } from './estimate.ts';
import { TOKENIZER_RATES } from './tokenizer-rates.generated.ts';

export type Tokenizer = keyof typeof TOKENIZER_RATES.tokenizers;
/** What the text is: the rates of prose, code and scripts lie far apart. */
export type TextKind = keyof typeof TOKENIZER_RATES.rates;

export const TOKENIZERS: readonly Tokenizer[] = namesOf(TOKENIZER_RATES.tokenizers);
export const TEXT_KINDS: readonly TextKind[] = namesOf(TOKENIZER_RATES.rates);

function namesOf<Name extends string>(record: Readonly<Record<Name, unknown>>): Name[] {
  return Object.keys(record) as Name[];
}

/**
 * Tokens of vocabulary `to` for one token of vocabulary `from`, over the same text of one kind. `low` and `high` hold 90 % of
 * paragraphs; between two vocabularies that were each measured against a third they are the extremes of both, so rather wide.
 */
export function tokenExchangeRate(from: Tokenizer, to: Tokenizer, kind: TextKind): Interval {
  if (from === to) return { low: 1, expected: 1, high: 1 };
  const rates = TOKENIZER_RATES.rates[kind].perReferenceToken;
  const [one, other] = [rates[from], rates[to]];
  return { low: other.low / one.high, expected: other.expected / one.expected, high: other.high / one.low };
}

/** Characters that one token of a vocabulary stands for, over texts of one kind. */
export function charactersPerToken(tokenizer: Tokenizer, kind: TextKind): number {
  const { charactersPerToken: reference, perReferenceToken } = TOKENIZER_RATES.rates[kind];
  return reference / perReferenceToken[tokenizer].expected;
}

/** Rules by the beginning of a model's plain name; the first that fits decides. */
const BY_NAME: readonly (readonly [RegExp, Tokenizer])[] = [
  [/^(gpt-?oss|gpt-?4o|gpt-?4\.?1|gpt-?4\.?5|gpt-?5|chatgpt-4o|o[134](-|$))/, 'o200k'],
  [/^(gpt-?4|gpt-?3\.?5|text-embedding-3|text-embedding-ada)/, 'cl100k'],
  [/^(meta-)?llama-?3/, 'llama-3'],
  [/^(qwen-?2|qwen-?3(?!\.)|qwq)/, 'qwen-3'],
  [/^deepseek-(v3|r1|chat|reasoner)/, 'deepseek-v3'],
  [/^gemma-?3/, 'gemma-3'],
  [/^(mistral-nemo|ministral|pixtral|mistral-small-(3|24)|mistral-large-24(07|11))/, 'tekken'],
  [/^claude-(2|instant)/, 'claude-2'],
];

/** The vocabulary of a model, where it is public; undefined for Claude from 3 on, Gemini and whatever is not known. */
export function tokenizerOf(model: string): Tokenizer | undefined {
  const name = (model.split('/').at(-1) ?? model).toLowerCase();
  return BY_NAME.find(([pattern]) => pattern.test(name))?.[1];
}
