import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestErgon, type TestErgon } from '../ergon.test-support.ts';
import { EXIT_CODE } from '../exit-code.ts';

let ergon: TestErgon;
beforeAll(async () => {
  ergon = await startTestErgon();
});
afterAll(async () => {
  await ergon.stop();
});

const done = { code: EXIT_CODE.ok, error: '' };

function stdin(text: string) {
  const surroundings = {
    env: { ERGON_URL: ergon.url, ERGON_DATA_DIR: ergon.directory },
    readIn: async function* () {
      yield Buffer.from(text);
    },
  };
  return (...argv: string[]) => ergon.runWith({ ...surroundings, env: { ...surroundings.env, ...KEY } }, ...argv);
}

const KEY = { ERGON_API_KEY: `ergon_${'0123456789abcdef'}_${'k'.repeat(43)}` };

test('the price table: its age, a price by context tier, where sources disagree', async () => {
  const table = await ergon.run('prices');
  expect(table).toMatchObject(done);
  expect(table.out).toMatch(/table +@pydantic\/genai-prices 0\.1\.8, published 2026-09-23, \d+ days old/);
  const shown = await ergon.run(
    'prices',
    'show',
    'us.anthropic.claude-sonnet-4-5-20250929-v1:0',
    '--provider',
    'bedrock',
  );
  expect(shown).toMatchObject(done);
  expect(shown.out).toContain('claude-sonnet-4-5 (claude-sonnet)');
  expect((await ergon.run('prices', 'show', 'claude-sonnet-4-5')).out).toMatch(
    /^USD per million +base +prompt > 200,000\ninput +3\.00 +6\.00$/m,
  );
  const unknown = await ergon.run('prices', 'show', 'our-own-model');
  expect(unknown).toMatchObject(done);
  expect(unknown.out).toContain('Unknown is not zero');
  const first = await ergon.run('prices', 'disagreements', '--limit', '2');
  expect(first.out).toMatch(/^seller +model +used +other +what\n(.+\n){2}more: --cursor /);
});

test('a price of your own is set, shown, listed and taken back', async () => {
  const price = { provider: 'openai', model: 'gpt-5*', per_million_tokens: { input: '1' }, source: 'contract 7' };
  const set = await stdin(JSON.stringify(price))('prices', 'set', 'openai-contract', '-');
  expect(set).toMatchObject({ ...done, out: 'Set openai-contract version 1, effective from 2000-01-01T00:00:00Z.\n' });
  expect((await ergon.run('prices', 'show', 'gpt-5-mini', '--provider', 'openai')).out).toMatch(/source +contract 7/);
  expect((await ergon.run('prices', 'overrides')).out).toContain('contract 7');
  expect((await ergon.run('prices')).out).toMatch(/your own +1 price/);
  expect((await ergon.run('prices', 'unset', 'openai-contract')).out).toBe('Took openai-contract back.\n');
  expect((await ergon.run('prices', 'unset', 'openai-contract')).code).toBe(EXIT_CODE.notFound);
  expect((await stdin('{')('prices', 'set', 'x', '-')).code).toBe(EXIT_CODE.usage);
  const refused = await stdin('{"provider":"openai"}')('prices', 'set', 'x', '-');
  expect(refused.code).toBe(EXIT_CODE.failed);
  expect(refused.error).toContain('/model');
});

test('a document may come from standard input wherever one is asked for', async () => {
  const price = { provider: 'openai', model: 'gpt-5*', per_million_tokens: { input: '1' }, source: 'contract 7' };
  const documents: readonly [string[], object][] = [
    [['prices', 'set', 'contract', '-'], price],
    [['rate-card', 'put', 'piped', '-'], { currency: 'USD', prices: [] }],
    [['plan', 'put', 'piped', '-'], { currency: 'USD' }],
    [['policies', 'put', 'piped', '-'], { mode: 'shadow', ladder: [{ action: 'notify' }] }],
  ];
  for (const [argv, document] of documents) expect(await stdin(JSON.stringify(document))(...argv)).toMatchObject(done);
  const unset = await ergon.run('prices', 'unset', 'contract', '--json');
  expect(JSON.parse(unset.out)).toEqual({ key: 'contract', unset: true });
});

test('the names that usage gives models, and an alias for one of them', async () => {
  const events = ['chat-prod', 'gpt-5-mini'].map((model) =>
    JSON.stringify({
      id: model,
      source: 'app',
      type: 'llm.call',
      data: { provider: 'azure', model, tokens: { input: 9, output: 1 } },
    }),
  );
  await stdin(events.join('\n'))('import', 'cloudevents', '-', '--customer', 'named');
  const before = await ergon.run('prices', 'models', '--customer', 'named');
  expect(before).toMatchObject(done);
  expect(before.out).toMatch(
    /^chat-prod +azure +unknown +- +1 +1 +0\.00 +unknown_model\ngpt-5-mini +azure +gpt-5-mini +gpt-5 +1 +0 /m,
  );
  expect((await ergon.run('prices', 'alias', 'chat-prod', 'gpt-4o')).out).toBe('chat-prod stands for gpt-4o.\n');
  expect((await ergon.run('prices', 'show', 'chat-prod', '--provider', 'azure')).out).toContain(
    'gpt-4o, sold by azure',
  );
  expect((await ergon.run('prices', 'unalias', 'chat-prod')).out).toBe('chat-prod is no alias any more.\n');
  await ergon.run('prices', 'alias', 'chat-prod', 'gpt-4o');
  const again = await ergon.run('prices', 'unalias', 'chat-prod', '--json');
  expect(JSON.parse(again.out)).toEqual({ reported: 'chat-prod', unaliased: true });
});

test('what is wrong with usage is told by the import and by data-quality', async () => {
  const event = {
    id: '1',
    source: 'app',
    type: 'llm.call',
    subject: 'acme',
    data: { model: 'm', tokens: { output: 5 } },
  };
  const imported = await stdin(JSON.stringify(event))('import', 'cloudevents', '-', '--customer', 'acme');
  expect(imported.out).toContain('Warned of: output_tokens_only. What that means: ergon data-quality acme');
  const told = await ergon.run('data-quality', 'acme');
  expect(told).toMatchObject(done);
  expect(told.out).toMatch(
    /^output_tokens_only {2}1 event\n {2}seen .+\n {2}latest +app 1: 5 output tokens.+\n {2}remedy +Send/,
  );
  expect(JSON.parse((await ergon.run('data-quality', 'acme', '--json')).out).data).toHaveLength(1);
  const compared = await ergon.run('data-quality', 'acme', '--sources');
  expect(compared.out).toMatch(/^source +calls +failed or retried\napp +1 +0\n\nNothing to warn of\.\n$/);
  expect((await ergon.run('data-quality', 'acme', '--to', '2020-01-01')).code).not.toBe(EXIT_CODE.ok);
  expect((await ergon.run('data-quality', 'nobody')).code).toBe(EXIT_CODE.notFound);
});
