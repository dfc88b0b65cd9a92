import { type Findings, note, shown } from './count.ts';
import type { Figures, OverlapRule } from './figures.ts';
import type { JsonObject } from './json.ts';
import { readAnthropic } from './read-anthropic.ts';
import { readChat, readResponses } from './read-chat.ts';
import { readGemini, readInteractions } from './read-google.ts';
import { readBedrock, readCohere, readDuration, readImages, readOllama } from './read-others.ts';

type Reader = (usage: JsonObject, figures: Figures, findings: Findings) => void;

/** One reader per wire shape; several APIs share one. */
export const READERS = {
  chat: readChat,
  responses: readResponses,
  images: readImages,
  duration: readDuration,
  anthropic: readAnthropic,
  gemini: readGemini,
  interactions: readInteractions,
  bedrock: readBedrock,
  cohere: readCohere,
  ollama: readOllama,
} as const satisfies { readonly [shape: string]: Reader };

type Shape = keyof typeof READERS;

/** How to read one API of one provider: the wire shape, and what contains what. */
export type Dialect = OverlapRule & { readonly shape: Shape };

/** The usual: cache and reasoning are inside the figures, and input plus output is the total. Rows say what differs. */
function row(shape: Shape, differing: Partial<OverlapRule> = {}): Dialect {
  return { shape, cache: 'included', reasoning: 'included', expects: 'both', residual: 'unexpected', ...differing };
}

/** The APIs and what contains what in each (overlap table of reference/usage-objects.md), whoever serves them. */
const APIS = {
  chat: row('chat'),
  responses: row('responses'),
  embeddings: row('chat', { expects: 'input' }),
  rerank: row('chat', { expects: 'nothing' }),
  realtime: row('responses'),
  images: row('images'),
  transcription: row('responses'),
  duration: row('duration', { expects: 'nothing' }),
  messages: row('anthropic', { cache: 'excluded' }),
  generate_content: row('gemini', { reasoning: 'excluded' }),
  live: row('gemini', { reasoning: 'excluded' }),
  embed_content: row('gemini', { expects: 'input' }),
  interactions: row('interactions', { reasoning: 'excluded' }),
  converse: row('bedrock', { cache: 'excluded' }),
  cohere: row('cohere'),
  cohere_units: row('cohere', { expects: 'nothing' }),
  ollama: row('ollama'),
  ollama_embeddings: row('ollama', { expects: 'input' }),
} as const satisfies { readonly [name: string]: Dialect };

type Api = keyof typeof APIS;

/** Where a provider's answer differs from the API it copied, and which API its usage has where the field names leave it open. */
type Provider = { readonly usual: Api; readonly differing?: { readonly [Name in Api]?: Dialect } };

const PROVIDERS: { readonly [name: string]: Provider } = {
  openai: { usual: 'responses' },
  azure: { usual: 'responses' },
  anthropic: { usual: 'messages' },
  // The OpenAI-compatible face hides thoughts: they show only as a total above its parts.
  google: { usual: 'generate_content', differing: { chat: row('chat', { residual: 'hidden_reasoning' }) } },
  bedrock: { usual: 'converse' },
  mistral: { usual: 'chat' },
  deepseek: { usual: 'chat' },
  xai: { usual: 'chat', differing: { chat: row('chat', { reasoning: 'excluded' }) } },
  cohere: {
    usual: 'cohere',
    differing: { chat: APIS.cohere, embeddings: APIS.cohere_units, rerank: APIS.cohere_units },
  },
  groq: { usual: 'chat' },
  ollama: { usual: 'ollama', differing: { embeddings: APIS.ollama_embeddings } },
  vllm: { usual: 'chat' },
  moonshot: { usual: 'chat' },
  alibaba: { usual: 'chat' },
  // Deep research bills more reasoning than completion (73,997 beside 7,163), and outside the total.
  perplexity: { usual: 'chat', differing: { chat: row('chat', { reasoning: 'where_it_fits' }) } },
  openrouter: { usual: 'chat' },
  voyage: { usual: 'embeddings', differing: { chat: APIS.embeddings } },
  together: { usual: 'chat' },
};

const UNKNOWN_PROVIDER: Provider = { usual: 'responses' };

/** Every name of an API, lower case. */
const API_NAMES: readonly (readonly [Api, readonly string[]])[] = [
  [
    'chat',
    ['chat', 'chat.completions', 'chat_completions', 'chat/completions', 'completions', 'text_completion', 'v2/chat'],
  ],
  ['responses', ['responses', 'response']],
  ['embeddings', ['embeddings', 'embedding', 'embed', 'moderations']],
  ['rerank', ['rerank', 'reranker']],
  ['realtime', ['realtime']],
  ['images', ['images', 'image', 'images.generate', 'images.edit', 'image_generation', 'images/generations']],
  ['transcription', ['transcription', 'transcriptions', 'audio.transcriptions', 'audio/transcriptions']],
  ['messages', ['messages', 'message', 'claude-code', 'claude_code', 'invoke_model', 'invokemodel', 'invoke-model']],
  ['generate_content', ['generate_content', 'generatecontent', 'streamgeneratecontent', 'gemini']],
  ['live', ['live', 'bidigeneratecontent']],
  ['embed_content', ['embed_content', 'embedcontent']],
  ['interactions', ['interactions', 'interaction']],
  ['converse', ['converse', 'converse_stream', 'conversestream', 'converse-stream']],
  ['ollama', ['ollama', 'api/chat', 'api/generate', 'generate']],
];

/** Other names of a provider, lower case: OpenTelemetry's, LiteLLM's, SDKs'. */
const PROVIDER_NAMES: readonly (readonly [string, readonly string[]])[] = [
  ['openai', ['openai.chat', 'openai.responses']],
  ['azure', ['azure.ai.openai', 'az.ai.openai', 'azure_openai', 'azure-openai', 'azure.ai.inference', 'azure_ai']],
  ['anthropic', ['anthropic.messages', 'claude']],
  [
    'google',
    ['gemini', 'gcp', 'gcp.gemini', 'gcp.gen_ai', 'gcp.vertex_ai', 'vertex', 'vertex_ai', 'vertexai', 'vertex-ai'],
  ],
  ['google', ['google.generative-ai', 'google.vertex', 'google-vertex', 'google_genai']],
  ['bedrock', ['aws.bedrock', 'aws', 'aws_bedrock', 'amazon-bedrock', 'amazon_bedrock', 'bedrock_converse']],
  ['mistral', ['mistral_ai', 'mistralai', 'mistral.chat']],
  ['xai', ['x_ai', 'x-ai', 'x.ai', 'grok', 'xai.chat', 'xai.responses']],
  ['cohere', ['cohere_chat', 'cohere.chat']],
  ['groq', ['groq.chat']],
  ['deepseek', ['deepseek.chat', 'deep_seek']],
  ['moonshot', ['moonshot_ai', 'moonshotai', 'kimi']],
  ['alibaba', ['dashscope', 'qwen', 'aliyun']],
  ['perplexity', ['perplexity_ai', 'pplx']],
  ['voyage', ['voyageai', 'voyage_ai']],
  ['together', ['together_ai', 'togetherai']],
  ['vllm', ['hosted_vllm']],
];

const providers: ReadonlyMap<string, Provider> = new Map([
  ...Object.entries(PROVIDERS),
  ...PROVIDER_NAMES.flatMap(([name, others]) =>
    others.map((other): [string, Provider] => [other, PROVIDERS[name] ?? UNKNOWN_PROVIDER]),
  ),
]);

const apis: ReadonlyMap<string, Api> = new Map(
  API_NAMES.flatMap(([api, names]) => names.map((name): [string, Api] => [name, api])),
);

/** The API a shape belongs to when the sender named none. */
const API_OF_SHAPE: { readonly [Name in Shape]: Api } = {
  chat: 'chat',
  responses: 'responses',
  images: 'images',
  duration: 'duration',
  anthropic: 'messages',
  gemini: 'generate_content',
  interactions: 'interactions',
  bedrock: 'converse',
  cohere: 'cohere',
  ollama: 'ollama',
};

/** What a sender says about where a usage object comes from; any of it may be missing or wrong. */
type Origin = {
  readonly provider?: string | undefined;
  readonly api?: string | undefined;
  readonly model?: string | undefined;
};

/**
 * The dialect of a usage object: provider and API decide what contains what, the field names decide how to read it. Where
 * the two contradict each other the field names win, with a flag. `undefined` where nothing is recognised.
 */
export function resolveDialect(origin: Origin, usage: JsonObject, findings: Findings): Dialect | undefined {
  const provider = find(providers, origin.provider) ?? providerOfModel(origin.model);
  const api = find(apis, origin.api);
  const declared = api === undefined ? undefined : dialectOf(provider, api);
  if (declared !== undefined && hasShape(usage, declared.shape)) return declared;
  const shape = shapeOf(usage, dialectOf(provider, provider.usual).shape);
  if (shape === undefined) return declared;
  const found = API_OF_SHAPE[shape];
  // A total alone fits any API that has no output; a transcription by time is a transcription.
  if (declared !== undefined && !(found === 'duration' && api === 'transcription')) {
    note(findings, 'unexpected_shape', `the usage of api ${shown(origin.api)} has the field names of ${found}`);
  }
  return dialectOf(provider, found);
}

function dialectOf(provider: Provider, api: Api): Dialect {
  return provider.differing?.[api] ?? APIS[api];
}

function find<Value>(names: ReadonlyMap<string, Value>, name: string | undefined): Value | undefined {
  return typeof name === 'string' ? (names.get(name) ?? names.get(name.toLowerCase())) : undefined;
}

function providerOfModel(model: string | undefined): Provider {
  const isClaude = typeof model === 'string' && model.startsWith('claude');
  return (isClaude ? PROVIDERS.anthropic : undefined) ?? UNKNOWN_PROVIDER;
}

/** The field names that tell each shape; any one of them suffices. */
const FIELDS: readonly (readonly [Shape, readonly string[]])[] = [
  ['chat', ['prompt_tokens', 'completion_tokens']],
  [
    'gemini',
    [
      'promptTokenCount',
      'totalTokenCount',
      'candidatesTokenCount',
      'responseTokenCount',
      'trafficType',
      'prompt_token_count',
    ],
  ],
  ['bedrock', ['inputTokens', 'outputTokens', 'totalTokens']],
  ['interactions', ['total_input_tokens', 'total_output_tokens', 'total_thought_tokens']],
  ['cohere', ['billed_units', 'tokens']],
  ['ollama', ['prompt_eval_count', 'eval_count']],
  ['duration', ['seconds']],
];

function hasShape(usage: JsonObject, shape: Shape): boolean {
  switch (shape) {
    // The two of the ingest path, spelled out: this runs for every event.
    case 'chat':
      return usage.prompt_tokens !== undefined || usage.completion_tokens !== undefined || isTotalAlone(usage);
    case 'responses':
    case 'images':
    case 'anthropic':
      return usage.input_tokens !== undefined || usage.output_tokens !== undefined;
    default: {
      const names = FIELDS.find(([name]) => name === shape)?.[1] ?? [];
      return names.some((name) => usage[name] !== undefined);
    }
  }
}

function isTotalAlone(usage: JsonObject): boolean {
  return usage.total_tokens !== undefined && usage.input_tokens === undefined && usage.total_input_tokens === undefined;
}

/** The shape by its field names; `usual` settles what they leave open. */
function shapeOf(usage: JsonObject, usual: Shape): Shape | undefined {
  if (hasShape(usage, 'anthropic')) return inputOutputShape(usage, usual);
  for (const [shape] of FIELDS) if (hasShape(usage, shape)) return shape;
  return undefined;
}

/** Responses and Anthropic Messages both say `input_tokens` and mean different things by it. */
function inputOutputShape(usage: JsonObject, usual: Shape): Shape {
  const isAnthropic =
    usage.cache_read_input_tokens !== undefined ||
    usage.cache_creation_input_tokens !== undefined ||
    usage.cache_creation !== undefined ||
    usage.server_tool_use !== undefined;
  if (isAnthropic) return 'anthropic';
  const isResponses =
    usage.total_tokens !== undefined ||
    usage.input_tokens_details !== undefined ||
    usage.input_token_details !== undefined;
  if (isResponses) return 'responses';
  return usual === 'anthropic' ? 'anthropic' : 'responses';
}
