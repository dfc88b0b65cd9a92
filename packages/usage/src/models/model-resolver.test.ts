import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createModelResolver } from './model-resolver.ts';
import { modelSpellings } from './model-spellings.ts';

const ids = [
  'claude-opus-4-5',
  'claude-sonnet-4-5',
  'claude-3-5-sonnet',
  'gpt-4o-mini',
  'gpt-4o',
  'gpt-4o-2024-05-13',
  'gpt-4-0613',
  'gpt-4',
  'gpt-5-mini',
  'gemini-2.5-pro',
  'gemini-2.5-flash',
  'llama-3.1-70b-instruct',
  'grok-4',
  'mistral-large',
];
const resolve = createModelResolver(
  ids.map((id) => ({ id })),
  new Map([['my-deployment', 'gpt-5-mini']]),
);

test.each([
  ['claude-opus-4-5', 'claude-opus-4-5', 'claude-opus'],
  ['claude-opus-4-5-20251101', 'claude-opus-4-5', 'claude-opus'],
  ['us.anthropic.claude-opus-4-5-20251101-v1:0', 'claude-opus-4-5', 'claude-opus'],
  ['global.anthropic.claude-sonnet-4-5-20250929-v1:0', 'claude-sonnet-4-5', 'claude-sonnet'],
  [
    'arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-3-5-sonnet-20241022-v2:0',
    'claude-3-5-sonnet',
    'claude-sonnet',
  ],
  ['claude-sonnet-4-5@20250929', 'claude-sonnet-4-5', 'claude-sonnet'],
  ['claude-sonnet-4.5', 'claude-sonnet-4-5', 'claude-sonnet'],
  ['openrouter/anthropic/claude-sonnet-4.5:thinking', 'claude-sonnet-4-5', 'claude-sonnet'],
  ['claude-3-5-sonnet-latest', 'claude-3-5-sonnet', 'claude-sonnet'],
  ['gpt-4o-mini-2024-07-18', 'gpt-4o-mini', 'gpt-4o'],
  ['gpt-4o-2024-05-13', 'gpt-4o-2024-05-13', 'gpt-4o'],
  ['gpt-4o-2024-11-20', 'gpt-4o', 'gpt-4o'],
  ['gpt-4-0613', 'gpt-4-0613', 'gpt-4'],
  ['gpt-4-1106-preview', 'gpt-4-1106-preview', undefined],
  ['azure/gpt-5-mini', 'gpt-5-mini', 'gpt-5'],
  ['GPT-5-Mini', 'gpt-5-mini', 'gpt-5'],
  ['my-deployment', 'gpt-5-mini', 'gpt-5'],
  ['models/gemini-2.5-pro', 'gemini-2.5-pro', 'gemini-pro'],
  ['publishers/google/models/gemini-2.5-flash-001', 'gemini-2.5-flash', 'gemini-flash'],
  ['gemini-2.5-pro-preview-05-06', 'gemini-2.5-pro', 'gemini-pro'],
  ['gemini-2.5-flash-preview-09-2025', 'gemini-2.5-flash', 'gemini-flash'],
  ['meta-llama/llama-3.1-70b-instruct:free', 'llama-3.1-70b-instruct', 'llama'],
  ['x-ai/grok-4-0709', 'grok-4', 'grok'],
  ['mistral-large-2411', 'mistral-large', 'mistral'],
])('%s is %s', (reported, canonical, family) => {
  const resolved = resolve(reported);
  if (family === undefined) {
    expect(resolved).toEqual({ reported, isFineTuned: false, family: 'gpt-4' });
  } else {
    expect(resolved).toEqual({ reported, canonical, family, isFineTuned: false });
  }
});

test('a fine-tune is its base model, and says so', () => {
  expect(resolve('ft:gpt-4o-mini-2024-07-18:acme::abc123')).toEqual({
    reported: 'ft:gpt-4o-mini-2024-07-18:acme::abc123',
    canonical: 'gpt-4o-mini',
    family: 'gpt-4o',
    isFineTuned: true,
  });
});

test.each(['<synthetic>', 'acme-private-1', '', 'x'.repeat(1000)])('%s stays unknown and visible', (reported) => {
  expect(resolve(reported)).toEqual({ reported, isFineTuned: false });
});

test('an id that calls itself the latest stands for its snapshots, and aliases never shadow an id', () => {
  const catalogue = createModelResolver([
    { id: 'claude-3-5-haiku-latest', aliases: ['haiku', 'gpt-4o'] },
    { id: 'gpt-4o', family: 'omni' },
  ]);
  expect(catalogue('claude-3-5-haiku-20241022').canonical).toBe('claude-3-5-haiku-latest');
  expect(catalogue('haiku').canonical).toBe('claude-3-5-haiku-latest');
  expect(catalogue('gpt-4o')).toMatchObject({ canonical: 'gpt-4o', family: 'omni' });
});

test("a library's own rule is asked last", () => {
  const catalogue = createModelResolver([
    { id: 'claude-sonnet-4-0', matches: (name) => name.startsWith('claude-sonnet-4-2025') },
    { id: 'claude-sonnet-4-5' },
  ]);
  expect(catalogue('us.anthropic.claude-sonnet-4-20250514-v1:0').canonical).toBe('claude-sonnet-4-0');
  expect(catalogue('claude-sonnet-4-5-20250929').canonical).toBe('claude-sonnet-4-5');
  expect(catalogue('claude-sonnet-9').canonical).toBeUndefined();
});

test('a larger sibling is not mistaken for a smaller one', () => {
  expect(resolve('gpt-4o-audio-preview-2024-10-01').canonical).toBeUndefined();
  expect(resolve('claude-opus-4-5-thinking').canonical).toBeUndefined();
});

test('spellings end, are few, and start as reported', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 300 }), (name) => {
      const spellings = modelSpellings(name);
      expect(spellings.length).toBeLessThanOrEqual(36);
      if (name.length <= 256) expect(spellings[0]).toBe(name.trim().toLowerCase());
      expect(resolve(name).reported).toBe(name);
    }),
  );
});
