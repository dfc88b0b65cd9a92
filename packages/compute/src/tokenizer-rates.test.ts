import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { charactersPerToken, TEXT_KINDS, tokenExchangeRate, tokenizerOf, TOKENIZERS } from './tokenizer-rates.ts';

const tokenizer = fc.constantFrom(...TOKENIZERS);
const kind = fc.constantFrom(...TEXT_KINDS);

describe('exchange rates between vocabularies', () => {
  it('are one with oneself, and there and back again', () => {
    fc.assert(
      fc.property(tokenizer, tokenizer, kind, (from, to, text) => {
        expect(tokenExchangeRate(from, from, text)).toEqual({ low: 1, expected: 1, high: 1 });
        const there = tokenExchangeRate(from, to, text).expected;
        expect(there * tokenExchangeRate(to, from, text).expected).toBeCloseTo(1, 12);
      }),
    );
  });

  it('chain: over a third vocabulary the expected rate is the same', () => {
    fc.assert(
      fc.property(tokenizer, tokenizer, tokenizer, kind, (from, by, to, text) => {
        const direct = tokenExchangeRate(from, to, text).expected;
        const chained = tokenExchangeRate(from, by, text).expected * tokenExchangeRate(by, to, text).expected;
        expect(chained).toBeCloseTo(direct, 9);
      }),
    );
  });

  it('keep their order: low <= expected <= high', () => {
    for (const from of TOKENIZERS) {
      for (const to of TOKENIZERS) {
        for (const text of TEXT_KINDS) {
          const { low, expected, high } = tokenExchangeRate(from, to, text);
          expect(low).toBeLessThanOrEqual(expected);
          expect(high).toBeGreaterThanOrEqual(expected);
        }
      }
    }
  });

  it('English is nearly one for one, other scripts are not: what a price per token hides', () => {
    expect(tokenExchangeRate('o200k', 'cl100k', 'english').expected).toBeCloseTo(1, 1);
    expect(tokenExchangeRate('o200k', 'cl100k', 'hindi').expected).toBeGreaterThan(2);
    expect(tokenExchangeRate('o200k', 'deepseek-v3', 'chinese').expected).toBeLessThan(0.8);
    // About four characters a token in English: prices-and-tokenizers.md.
    expect(charactersPerToken('o200k', 'english')).toBeGreaterThan(3.5);
    expect(charactersPerToken('o200k', 'english')).toBeLessThan(6);
  });
});

it.each([
  ['gpt-5-mini', 'o200k'],
  ['openai/gpt-4o-2024-08-06', 'o200k'],
  ['gpt-oss-120b', 'o200k'],
  ['o3-mini', 'o200k'],
  ['gpt-4-turbo', 'cl100k'],
  ['gpt-4.1', 'o200k'],
  ['meta-llama/Llama-3.1-70B', 'llama-3'],
  ['Qwen3-30B-A3B', 'qwen-3'],
  ['deepseek-chat', 'deepseek-v3'],
  ['gemma-3-27b-it', 'gemma-3'],
  ['claude-opus-4-5', undefined],
  ['gemini-2.5-pro', undefined],
  ['olmo-2', undefined],
])('%s reads with %s', (model, name) => {
  expect(tokenizerOf(model)).toBe(name);
});
