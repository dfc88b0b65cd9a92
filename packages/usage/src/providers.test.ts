import { expect, test } from 'vitest';
import { isReportedCostTrusted } from './normalise/read-cost.ts';
import { normaliseUsage, type UsageInput } from './normalise-usage.ts';
import type { Tokens, UsageRecord } from './record.ts';

type Case = {
  readonly name: string;
  readonly input: UsageInput;
  readonly tokens: Tokens;
  readonly also?: Partial<UsageRecord>;
  readonly flags?: readonly string[];
};

/** The golden vectors of reference/usage-objects.md, and one row for each line of its overlap table. */
const cases: readonly Case[] = [
  {
    name: 'xAI chat: reasoning is beside completion, ticks are 1e-10 USD',
    input: {
      provider: 'xai',
      api: 'chat.completions',
      usage: {
        prompt_tokens: 12,
        completion_tokens: 1,
        total_tokens: 303,
        prompt_tokens_details: { cached_tokens: 11 },
        completion_tokens_details: { reasoning_tokens: 290 },
        cost_in_usd_ticks: 1466250,
        num_sources_used: 3,
      },
    },
    tokens: { input: 1, cache_read: 11, output: 1, reasoning: 290 },
    also: { providerReportedCost: { amount: '0.000146625', currency: 'USD' }, units: { search_units: '3' } },
  },
  {
    name: 'xAI chat by an unnamed provider: the total proves it',
    input: {
      api: 'chat.completions',
      usage: {
        prompt_tokens: 12,
        completion_tokens: 1,
        total_tokens: 303,
        completion_tokens_details: { reasoning_tokens: 290 },
      },
    },
    tokens: { input: 12, output: 1, reasoning: 290 },
    flags: ['reasoning_outside_output'],
  },
  {
    name: 'xAI responses: reasoning is inside',
    input: {
      provider: 'x_ai',
      api: 'responses',
      usage: {
        input_tokens: 216,
        input_tokens_details: { cached_tokens: 192 },
        output_tokens: 863,
        output_tokens_details: { reasoning_tokens: 237 },
        total_tokens: 1079,
        server_side_tool_usage_details: { web_search_calls: 2, x_search_calls: 1, code_interpreter_calls: 0 },
      },
    },
    tokens: { input: 24, cache_read: 192, output: 626, reasoning: 237 },
    also: { units: { web_searches: '2', social_searches: '1' } },
  },
  {
    name: 'xAI through OpenRouter: reasoning is inside, the cost is told',
    input: {
      provider: 'openrouter',
      model: 'x-ai/grok-4',
      usage: {
        prompt_tokens: 20,
        completion_tokens: 30,
        total_tokens: 50,
        prompt_tokens_details: { cached_tokens: 5, cache_write_tokens: 4 },
        completion_tokens_details: { reasoning_tokens: 10 },
        cost: 0.00014,
        is_byok: false,
      },
    },
    tokens: { input: 11, cache_write_5m: 4, cache_read: 5, output: 20, reasoning: 10 },
    also: { providerReportedCost: { amount: '0.00014', currency: 'USD' } },
  },
  {
    name: 'Gemini: tool use and thoughts are separate, modalities are inside',
    input: {
      provider: 'google',
      api: 'generateContent',
      usage: {
        promptTokenCount: 1000,
        cachedContentTokenCount: 400,
        toolUsePromptTokenCount: 50,
        candidatesTokenCount: 70,
        thoughtsTokenCount: 30,
        totalTokenCount: 1150,
        promptTokensDetails: [
          { modality: 'TEXT', tokenCount: 500 },
          { modality: 'AUDIO', tokenCount: 300 },
          { modality: 'IMAGE', tokenCount: 200 },
        ],
        cacheTokensDetails: [
          { modality: 'AUDIO', tokenCount: 100 },
          { modality: 'TEXT', tokenCount: 300 },
        ],
        trafficType: 'ON_DEMAND',
      },
    },
    tokens: {
      input: 200,
      tool_use: 50,
      cache_read: 400,
      input_audio: 200,
      input_image: 200,
      output: 70,
      reasoning: 30,
    },
    also: { serviceTier: 'ON_DEMAND' },
  },
  {
    name: 'Gemini in the names of the Python SDK',
    input: {
      provider: 'google',
      usage: {
        prompt_token_count: 100,
        cached_content_token_count: null,
        candidates_token_count: 7,
        thoughts_token_count: 3,
        total_token_count: 110,
        prompt_tokens_details: [
          { modality: 'TEXT', token_count: 60 },
          { modality: 'IMAGE', token_count: 40 },
        ],
      },
    },
    tokens: { input: 60, input_image: 40, output: 7, reasoning: 3 },
  },
  {
    name: 'Gemini: only thoughts, no candidates',
    input: { usage: { promptTokenCount: 10, thoughtsTokenCount: 90, totalTokenCount: 100 } },
    tokens: { input: 10, output: 0, reasoning: 90 },
  },
  {
    name: 'Gemini: an early chunk without figures is nothing, not zero',
    input: { provider: 'gcp.vertex_ai', usage: { trafficType: 'ON_DEMAND' } },
    tokens: {},
    also: { quality: 'none' },
    flags: ['input_missing', 'output_missing'],
  },
  {
    name: 'Gemini Live: details above the prompt are not used',
    input: {
      provider: 'google',
      api: 'live',
      usage: {
        promptTokenCount: 50,
        responseTokenCount: 20,
        totalTokenCount: 70,
        promptTokensDetails: [
          { modality: 'TEXT', tokenCount: 535 },
          { modality: 'AUDIO', tokenCount: 20 },
        ],
        responseTokensDetails: [{ modality: 'AUDIO', tokenCount: 15 }],
      },
    },
    tokens: { input: 50, output: 5, output_audio: 15 },
    flags: ['modality_details_ignored'],
  },
  {
    name: 'Gemini Interactions: the google-search fixture',
    input: {
      provider: 'google',
      api: 'interactions',
      usage: {
        total_input_tokens: 22,
        total_cached_tokens: 0,
        total_output_tokens: 590,
        total_tool_use_tokens: 198,
        total_thought_tokens: 1173,
        total_tokens: 1983,
      },
    },
    tokens: { input: 22, tool_use: 198, cache_read: 0, output: 590, reasoning: 1173 },
  },
  {
    name: 'Gemini through the OpenAI face: hidden thoughts',
    input: {
      provider: 'google',
      api: 'chat.completions',
      usage: { prompt_tokens: 35, completion_tokens: 12, total_tokens: 109 },
    },
    tokens: { input: 35, output: 12, hidden_output: 62 },
  },
  {
    name: 'a residual from anyone else is taken and flagged',
    input: { provider: 'openai', usage: { prompt_tokens: 35, completion_tokens: 12, total_tokens: 109 } },
    tokens: { input: 35, output: 12, hidden_output: 62 },
    also: { quality: 'partial' },
    flags: ['hidden_output'],
  },
  {
    name: 'Bedrock Converse: cache is outside; legacy names repeat it',
    input: {
      provider: 'aws.bedrock',
      api: 'Converse',
      usage: {
        inputTokens: 10,
        outputTokens: 5,
        totalTokens: 125,
        cacheReadInputTokens: 60,
        cacheReadInputTokenCount: 60,
        cacheWriteInputTokens: 50,
        cacheWriteInputTokenCount: 50,
        cacheDetails: [
          { ttl: '1h', inputTokens: 30 },
          { ttl: '5m', inputTokens: 20 },
        ],
        serverToolUsage: {},
      },
    },
    tokens: { input: 10, cache_write_5m: 20, cache_write_1h: 30, cache_read: 60, output: 5 },
  },
  {
    name: 'Bedrock InvokeModel with an Anthropic body',
    input: {
      provider: 'bedrock',
      api: 'InvokeModel',
      usage: { input_tokens: 3, cache_read_input_tokens: 9, output_tokens: 2 },
    },
    tokens: { input: 3, cache_read: 9, output: 2 },
  },
  {
    name: 'DeepSeek: the prompt is hit plus miss',
    input: {
      provider: 'deepseek',
      usage: {
        prompt_tokens: 495,
        prompt_cache_hit_tokens: 320,
        prompt_cache_miss_tokens: 175,
        completion_tokens: 144,
        total_tokens: 639,
        completion_tokens_details: { reasoning_tokens: 118 },
      },
    },
    tokens: { input: 175, cache_read: 320, output: 26, reasoning: 118 },
  },
  {
    name: 'Azure DeepSeek: details null, reasoning at the top',
    input: {
      provider: 'azure.ai.openai',
      api: 'chat',
      usage: {
        prompt_tokens: 20,
        completion_tokens: 30,
        total_tokens: 50,
        prompt_tokens_details: null,
        completion_tokens_details: null,
        reasoning_tokens: 0,
      },
    },
    tokens: { input: 20, output: 30, reasoning: 0 },
  },
  {
    name: 'Perplexity: searches and citations are units, more reasoning than output is outside the total',
    input: {
      provider: 'perplexity',
      usage: {
        prompt_tokens: 33,
        completion_tokens: 7163,
        total_tokens: 7196,
        citation_tokens: 20016,
        num_search_queries: 18,
        reasoning_tokens: 73997,
        cost: { total_cost: 0.82 },
      },
    },
    tokens: { input: 33, output: 7163, reasoning: 73997 },
    also: {
      units: { web_searches: '18', citation_tokens: '20016' },
      providerReportedCost: { amount: '0.82', currency: 'USD' },
    },
  },
  {
    name: 'Anthropic through LiteLLM: cache inside the prompt',
    input: {
      provider: 'litellm',
      model: 'claude-sonnet-4-5',
      usage: {
        prompt_tokens: 110,
        completion_tokens: 5,
        total_tokens: 115,
        prompt_tokens_details: { cached_tokens: 70 },
        cache_creation_input_tokens: 30,
        cache_read_input_tokens: 70,
      },
    },
    tokens: { input: 10, cache_write_5m: 30, cache_read: 70, output: 5 },
  },
  {
    name: 'Mistral: cached under its other name, audio seconds',
    input: {
      provider: 'mistral',
      usage: {
        prompt_tokens: 40,
        completion_tokens: 2,
        total_tokens: 42,
        num_cached_tokens: 32,
        prompt_audio_seconds: 7,
      },
    },
    tokens: { input: 8, cache_read: 32, output: 2 },
    also: { units: { audio_seconds: '7' } },
  },
  {
    name: 'Mistral: details in the singular',
    input: {
      provider: 'mistral',
      usage: { prompt_tokens: 40, completion_tokens: 2, prompt_token_details: { cached_tokens: 32 } },
    },
    tokens: { input: 8, cache_read: 32, output: 2 },
  },
  {
    name: 'Moonshot: cached at the top',
    input: {
      provider: 'moonshot',
      usage: { prompt_tokens: 40, completion_tokens: 2, total_tokens: 42, cached_tokens: 30 },
    },
    tokens: { input: 10, cache_read: 30, output: 2 },
  },
  {
    name: 'Alibaba: both cache figures inside',
    input: {
      provider: 'alibaba',
      usage: {
        prompt_tokens: 100,
        completion_tokens: 5,
        total_tokens: 105,
        prompt_tokens_details: { cached_tokens: 30, cache_creation_input_tokens: 50, cache_type: 'ephemeral' },
      },
    },
    tokens: { input: 20, cache_write_5m: 50, cache_read: 30, output: 5 },
  },
  {
    name: 'Groq: timings beside the figures',
    input: {
      provider: 'groq',
      usage: { prompt_tokens: 4, completion_tokens: 6, total_tokens: 10, queue_time: 0.1, total_time: 0.2 },
    },
    tokens: { input: 4, output: 6 },
  },
  {
    name: 'vLLM: null completion is told by the total',
    input: {
      provider: 'vllm',
      usage: { prompt_tokens: 4, completion_tokens: null, total_tokens: 4, prompt_tokens_details: null },
    },
    tokens: { input: 4, output: 0 },
  },
  {
    name: 'Cohere chat: the billed figures',
    input: {
      provider: 'cohere',
      api: 'chat',
      usage: {
        billed_units: { input_tokens: 5, output_tokens: 20, search_units: 1 },
        tokens: { input_tokens: 71, output_tokens: 23 },
      },
    },
    tokens: { input: 5, output: 20 },
    also: { units: { search_units: '1' } },
  },
  {
    name: 'Cohere embed with images',
    input: {
      provider: 'cohere',
      api: 'embed',
      usage: { billed_units: { input_tokens: 5, images: 1, image_tokens: 7 } },
    },
    tokens: { input: 5, input_image: 7 },
    also: { units: { images: '1' } },
  },
  {
    name: 'Cohere rerank has units only',
    input: { provider: 'cohere', api: 'rerank', usage: { billed_units: { search_units: 2 } } },
    tokens: {},
    also: { units: { search_units: '2' }, quality: 'reported' },
  },
  {
    name: 'Ollama: a cached prompt may go unreported',
    input: { provider: 'ollama', usage: { eval_count: 30, eval_duration: 10 } },
    tokens: { output: 30 },
    also: { quality: 'partial' },
    flags: ['input_missing'],
  },
  {
    name: 'Embeddings have no output',
    input: { provider: 'openai', api: 'embeddings', usage: { prompt_tokens: 8, total_tokens: 8 } },
    tokens: { input: 8 },
  },
  {
    name: 'Voyage reports a total only',
    input: { provider: 'voyage', usage: { total_tokens: 8 } },
    tokens: { input: 8 },
  },
  {
    name: 'Realtime: cached audio is a cache read, not audio',
    input: {
      provider: 'openai',
      api: 'realtime',
      usage: {
        input_tokens: 100,
        output_tokens: 50,
        total_tokens: 150,
        input_token_details: {
          text_tokens: 40,
          audio_tokens: 60,
          cached_tokens: 30,
          cached_tokens_details: { text_tokens: 10, audio_tokens: 20 },
        },
        output_token_details: { text_tokens: 20, audio_tokens: 30 },
      },
    },
    tokens: { input: 30, cache_read: 30, input_audio: 40, output: 20, output_audio: 30 },
  },
  {
    name: 'Images: output is all image',
    input: {
      provider: 'openai',
      api: 'images',
      usage: {
        input_tokens: 60,
        input_tokens_details: { text_tokens: 10, image_tokens: 50 },
        output_tokens: 400,
        total_tokens: 460,
      },
    },
    tokens: { input: 10, input_image: 50, output: 0, output_image: 400 },
  },
  {
    name: 'Transcription by tokens',
    input: {
      provider: 'openai',
      api: 'transcription',
      usage: {
        type: 'tokens',
        input_tokens: 14,
        input_token_details: { text_tokens: 0, audio_tokens: 14 },
        output_tokens: 45,
        total_tokens: 59,
      },
    },
    tokens: { input: 0, input_audio: 14, output: 45 },
  },
  {
    name: 'Transcription by time',
    input: { provider: 'openai', api: 'transcription', usage: { type: 'duration', seconds: 12.5 } },
    tokens: {},
    also: { units: { audio_seconds: '12.5' }, quality: 'reported' },
  },
  {
    name: "OpenRouter with the customer's own key tells its fee alone, which is no price",
    input: {
      provider: 'openrouter',
      usage: {
        prompt_tokens: 1,
        completion_tokens: 1,
        cost: 0.0005,
        is_byok: true,
        cost_details: { upstream_inference_cost: 0.01 },
      },
    },
    tokens: { input: 1, output: 1 },
  },
  {
    name: 'a reported cost of zero is no price',
    input: { provider: 'openrouter', usage: { prompt_tokens: 1, completion_tokens: 1, cost: 0 } },
    tokens: { input: 1, output: 1 },
  },
];

test.each(cases)('$name', ({ input, tokens, also = {}, flags = [] }) => {
  const record = normaliseUsage(input);
  expect(record.flags.map((flag) => flag.code)).toEqual(flags);
  expect(record.tokens).toEqual(tokens);
  expect(record).toMatchObject({ quality: 'reported', units: {}, ...also });
  if (also.providerReportedCost === undefined) expect(record).not.toHaveProperty('providerReportedCost');
});

test('a reported cost stands for the cost only for providers on the list', () => {
  expect(['openrouter', 'OpenRouter', 'xai', 'perplexity'].every(isReportedCostTrusted)).toBe(true);
  expect(['openai', 'litellm', '', undefined].some(isReportedCostTrusted)).toBe(false);
});
