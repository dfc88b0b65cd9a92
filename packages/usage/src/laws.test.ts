import fc from 'fast-check';
import { expect, test } from 'vitest';
import { normaliseUsage, type UsageInput } from './normalise-usage.ts';
import { TOKEN_CLASSES, type UsageRecord } from './record.ts';

const tokens = fc.nat(1_000_000);

/** What really happened in a call, from which each dialect's usage object is written as its provider would. */
const calls = fc.record({
  uncached: tokens,
  cacheRead: tokens,
  write5m: tokens,
  write1h: tokens,
  toolUse: tokens,
  audio: tokens,
  visible: tokens,
  reasoning: tokens,
  rejected: tokens,
});
type Call = {
  [Name in
    | 'uncached'
    | 'cacheRead'
    | 'write5m'
    | 'write1h'
    | 'toolUse'
    | 'audio'
    | 'visible'
    | 'reasoning'
    | 'rejected']: number;
};

type Law = { readonly dialect: string; readonly write: (call: Call) => { input: UsageInput; total: number } };

function openaiShaped(call: Call, names: { prompt: string; completion: string; isReasoningInside: boolean }) {
  const prompt = call.uncached + call.cacheRead + call.write5m + call.audio;
  const output = call.visible + call.rejected + (names.isReasoningInside ? call.reasoning : 0);
  const total = prompt + output + (names.isReasoningInside ? 0 : call.reasoning);
  return {
    total,
    usage: {
      [`${names.prompt}_tokens`]: prompt,
      [`${names.completion}_tokens`]: output,
      total_tokens: total,
      [`${names.prompt}_tokens_details`]: {
        cached_tokens: call.cacheRead,
        cache_write_tokens: call.write5m,
        audio_tokens: call.audio,
      },
      [`${names.completion}_tokens_details`]: {
        reasoning_tokens: call.reasoning,
        ...(names.completion === 'completion' && { rejected_prediction_tokens: call.rejected }),
      },
    },
  };
}

const inclusiveChat = [
  'openai',
  'azure',
  'mistral',
  'deepseek',
  'groq',
  'vllm',
  'moonshot',
  'alibaba',
  'openrouter',
  'together',
];

const laws: readonly Law[] = [
  ...inclusiveChat.map(
    (provider): Law => ({
      dialect: `${provider} chat`,
      write: (call) => {
        const { usage, total } = openaiShaped(call, {
          prompt: 'prompt',
          completion: 'completion',
          isReasoningInside: true,
        });
        return { input: { provider, api: 'chat.completions', usage }, total };
      },
    }),
  ),
  ...[true, false].map(
    (isReasoningInside): Law => ({
      dialect: `xai chat, reasoning ${isReasoningInside ? 'inside (as no longer documented)' : 'beside'}`,
      write: (call) => {
        const { usage, total } = openaiShaped(call, { prompt: 'prompt', completion: 'completion', isReasoningInside });
        return { input: { provider: 'xai', api: 'chat', usage }, total };
      },
    }),
  ),
  ...['openai', 'xai', 'azure'].map(
    (provider): Law => ({
      dialect: `${provider} responses`,
      write: (call) => {
        const { usage, total } = openaiShaped(call, { prompt: 'input', completion: 'output', isReasoningInside: true });
        return { input: { provider, api: 'responses', usage }, total };
      },
    }),
  ),
  {
    dialect: 'anthropic messages',
    write: (call) => ({
      total: call.uncached + call.cacheRead + call.write5m + call.write1h + call.visible + call.reasoning,
      input: {
        provider: 'anthropic',
        api: 'messages',
        usage: {
          input_tokens: call.uncached,
          cache_read_input_tokens: call.cacheRead,
          cache_creation_input_tokens: call.write5m + call.write1h,
          cache_creation: { ephemeral_5m_input_tokens: call.write5m, ephemeral_1h_input_tokens: call.write1h },
          output_tokens: call.visible + call.reasoning,
          output_tokens_details: { thinking_tokens: call.reasoning },
        },
      },
    }),
  },
  {
    dialect: 'anthropic iterations',
    write: (call) => ({
      total: call.uncached + call.cacheRead + call.toolUse + call.visible + call.reasoning + call.rejected,
      input: {
        provider: 'anthropic',
        api: 'messages',
        usage: {
          input_tokens: call.uncached,
          output_tokens: call.visible + call.reasoning,
          output_tokens_details: { thinking_tokens: call.reasoning },
          iterations: [
            { type: 'compaction', input_tokens: call.toolUse, output_tokens: call.rejected },
            {
              type: 'message',
              input_tokens: call.uncached,
              cache_read_input_tokens: call.cacheRead,
              output_tokens: call.visible + call.reasoning,
            },
          ],
        },
      },
    }),
  },
  {
    dialect: 'gemini generateContent',
    write: (call) => {
      const prompt = call.uncached + call.cacheRead + call.audio;
      const total = prompt + call.toolUse + call.visible + call.reasoning;
      const usage = {
        promptTokenCount: prompt,
        cachedContentTokenCount: call.cacheRead,
        toolUsePromptTokenCount: call.toolUse,
        candidatesTokenCount: call.visible,
        thoughtsTokenCount: call.reasoning,
        totalTokenCount: total,
        promptTokensDetails: [
          { modality: 'AUDIO', tokenCount: call.audio },
          { modality: 'TEXT', tokenCount: prompt - call.audio },
        ],
      };
      return { input: { provider: 'google', api: 'generateContent', usage }, total };
    },
  },
  {
    dialect: 'gemini interactions',
    write: (call) => {
      const total = call.uncached + call.cacheRead + call.toolUse + call.visible + call.reasoning;
      const usage = {
        total_input_tokens: call.uncached + call.cacheRead,
        total_cached_tokens: call.cacheRead,
        total_tool_use_tokens: call.toolUse,
        total_output_tokens: call.visible,
        total_thought_tokens: call.reasoning,
        total_tokens: total,
      };
      return { input: { provider: 'google', api: 'interactions', usage }, total };
    },
  },
  {
    dialect: 'gemini through the OpenAI face',
    write: (call) => ({
      total: call.uncached + call.visible + call.reasoning,
      input: {
        provider: 'google',
        api: 'chat.completions',
        usage: {
          prompt_tokens: call.uncached,
          completion_tokens: call.visible,
          total_tokens: call.uncached + call.visible + call.reasoning,
        },
      },
    }),
  },
  {
    dialect: 'bedrock converse',
    write: (call) => {
      const total = call.uncached + call.cacheRead + call.write5m + call.write1h + call.visible;
      const usage = {
        inputTokens: call.uncached,
        cacheReadInputTokens: call.cacheRead,
        cacheWriteInputTokens: call.write5m + call.write1h,
        cacheDetails: [
          { ttl: '5m', inputTokens: call.write5m },
          { ttl: '1h', inputTokens: call.write1h },
        ],
        outputTokens: call.visible,
        totalTokens: total,
      };
      return { input: { provider: 'bedrock', api: 'converse', usage }, total };
    },
  },
  {
    dialect: 'perplexity, reasoning inside',
    write: (call) => ({
      total: call.uncached + call.visible + call.reasoning,
      input: {
        provider: 'perplexity',
        usage: {
          prompt_tokens: call.uncached,
          completion_tokens: call.visible + call.reasoning,
          reasoning_tokens: call.reasoning,
          total_tokens: call.uncached + call.visible + call.reasoning,
        },
      },
    }),
  },
  {
    dialect: 'perplexity deep research, whose total leaves reasoning out',
    write: (call) => ({
      total: call.uncached + 2 * call.visible + call.reasoning + 1,
      input: {
        provider: 'perplexity',
        usage: {
          prompt_tokens: call.uncached,
          completion_tokens: call.visible,
          reasoning_tokens: call.visible + call.reasoning + 1,
          total_tokens: call.uncached + call.visible,
        },
      },
    }),
  },
];

test.each(laws)('$dialect: disjoint classes sum to the total', ({ write }) => {
  fc.assert(
    fc.property(calls, (call) => {
      const { input, total } = write(call);
      const record = normaliseUsage(input);
      expect(sum(record)).toBe(total);
      expect(record.quality).toBe('reported');
      checkSound(record);
    }),
  );
});

const providers = [
  undefined,
  'openai',
  'anthropic',
  'google',
  'bedrock',
  'xai',
  'cohere',
  'ollama',
  'perplexity',
  'voyage',
  'nobody',
];
const apis = [
  undefined,
  'chat',
  'responses',
  'messages',
  'generateContent',
  'live',
  'converse',
  'images',
  'embed',
  'rerank',
  'nothing',
];

/** Field names of all dialects, so that hostile values land where the readers look. */
const fields = [
  'prompt_tokens completion_tokens total_tokens prompt_tokens_details completion_tokens_details cached_tokens audio_tokens',
  'image_tokens reasoning_tokens rejected_prediction_tokens cache_write_tokens input_tokens output_tokens iterations type model',
  'input_tokens_details output_tokens_details cache_creation_input_tokens cache_read_input_tokens cache_creation seconds cost',
  'ephemeral_5m_input_tokens ephemeral_1h_input_tokens thinking_tokens server_tool_use web_search_requests total_cost tokens',
  'promptTokenCount candidatesTokenCount thoughtsTokenCount totalTokenCount cachedContentTokenCount promptTokensDetails',
  'inputTokens outputTokens totalTokens cacheDetails billed_units prompt_eval_count eval_count cost_in_usd_ticks modality tokenCount',
].flatMap((line) => line.split(' '));

const { tree: hostile } = fc.letrec((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.oneof(fc.nat(), fc.double(), fc.bigInt(), fc.string(), fc.constant(null), fc.integer(), fc.anything()),
    fc.dictionary(fc.constantFrom(...fields), tie('tree'), { maxKeys: 12 }),
    fc.array(tie('tree'), { maxLength: 4 }),
  ),
}));

test('no input makes the normaliser throw, and no record has a count that is none', () => {
  const anything = fc.oneof(hostile, fc.anything(), fc.jsonValue());
  fc.assert(
    fc.property(
      fc.record({ provider: fc.constantFrom(...providers), api: fc.constantFrom(...apis), usage: anything }),
      fc.option(fc.record({ tokens: anything, units: anything }, { requiredKeys: [] })),
      (input, canonical) => checkSound(normaliseUsage({ ...input, ...canonical })),
    ),
    { numRuns: 5000 },
  );
});

test('names that are no text are not names', () => {
  fc.assert(
    fc.property(fc.anything(), (value) => {
      // The type promises text; the wire does not.
      const input: object = {
        provider: value,
        api: value,
        model: value,
        usage: { prompt_tokens: 1, completion_tokens: 1 },
      };
      checkSound(normaliseUsage(input));
    }),
  );
});

test('a hundred thousand hostile fields take linear time', () => {
  const many = (size: number) => ({
    provider: 'anthropic',
    usage: {
      input_tokens: 1,
      output_tokens: 1,
      iterations: Array.from({ length: size }, () => ({ type: 'message', input_tokens: -1 })),
      promptTokensDetails: Array.from({ length: size }, () => ({ modality: 'AUDIO', tokenCount: 'x' })),
    },
    units: Object.fromEntries(Array.from({ length: size }, (_, index) => [`u${index}`, -1])),
  });
  const from = performance.now();
  const record = normaliseUsage(many(100_000));
  expect(performance.now() - from).toBeLessThan(1000);
  expect(record.flags.length).toBeLessThanOrEqual(16);
});

function sum(record: UsageRecord): number {
  return TOKEN_CLASSES.reduce((total, name) => total + (record.tokens[name] ?? 0), 0);
}

function checkSound(record: UsageRecord): void {
  for (const quantities of [record.tokens, ...(record.iterations ?? []).map((pass) => pass.tokens)]) {
    for (const [name, value] of Object.entries(quantities)) {
      expect(TOKEN_CLASSES).toContain(name);
      expect(Number.isSafeInteger(value) && value >= 0).toBe(true);
    }
  }
  for (const value of Object.values(record.units)) expect(value).toMatch(/^\d+(\.\d+)?$/);
  if (record.quality === 'reported') expect(record.flags.every((flag) => flag.code !== 'total_mismatch')).toBe(true);
  expect(JSON.parse(JSON.stringify(record))).toEqual(record);
}
