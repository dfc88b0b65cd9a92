import { type Findings, note, shown } from './count.ts';
import type { Figures, OverlapRule } from './figures.ts';
import type { JsonObject } from './json.ts';
import { readAnthropic } from './read-anthropic.ts';
import { readChat, readResponses } from './read-chat.ts';

/** Wire shapes, told apart by their field names. Several APIs share one. */
type Shape = 'chat' | 'responses' | 'anthropic';

/** How to read one API of one provider: the wire shape, and what contains what. */
export type Dialect = OverlapRule & { readonly shape: Shape };

type Reader = (usage: JsonObject, figures: Figures, findings: Findings) => void;

export const READERS: { readonly [Name in Shape]: Reader } = {
  chat: readChat,
  responses: readResponses,
  anthropic: readAnthropic,
};

/** The usual: cache and reasoning are inside the figures, and input plus output is the total. Rows say what differs. */
function row(shape: Shape, differing: Partial<OverlapRule> = {}): Dialect {
  return { shape, cache: 'included', reasoning: 'included', output: 'expected', residual: 'unexpected', ...differing };
}

/** The APIs and what contains what in each (overlap table of reference/usage-objects.md), whoever serves them. */
const APIS = {
  chat: row('chat'),
  responses: row('responses'),
  embeddings: row('chat', { output: 'none' }),
  messages: row('anthropic', { cache: 'excluded' }),
} as const satisfies { readonly [name: string]: Dialect };

type Api = keyof typeof APIS;

/** Where a provider's answer differs from the API it copied, and which API its usage has where the field names leave it open. */
type Provider = { readonly usual: Api; readonly differing?: { readonly [Name in Api]?: Dialect } };

const PROVIDERS: { readonly [name: string]: Provider } = {
  openai: { usual: 'responses' },
  azure: { usual: 'responses' },
  anthropic: { usual: 'messages' },
};

const UNKNOWN_PROVIDER: Provider = { usual: 'responses' };

/** Every name of an API, lower case. */
const API_NAMES: { readonly [Name in Api]: readonly string[] } = {
  chat: ['chat', 'chat.completions', 'chat_completions', 'chat/completions', 'completions', 'text_completion'],
  responses: ['responses', 'response'],
  embeddings: ['embeddings', 'embedding', 'rerank', 'moderations'],
  messages: ['messages', 'message', 'claude-code', 'claude_code'],
};

/** Other names of a provider, lower case: OpenTelemetry's, LiteLLM's, SDKs'. */
const PROVIDER_NAMES: { readonly [name: string]: readonly string[] } = {
  azure: ['azure.ai.openai', 'az.ai.openai', 'azure_openai', 'azure-openai', 'azure.ai.inference', 'azure_ai'],
};

const providers: ReadonlyMap<string, Provider> = new Map([
  ...Object.entries(PROVIDERS),
  ...Object.entries(PROVIDER_NAMES).flatMap(([name, others]) =>
    others.map((other): [string, Provider] => [other, PROVIDERS[name] ?? UNKNOWN_PROVIDER]),
  ),
]);

const apis: ReadonlyMap<string, Api> = new Map(
  (['chat', 'responses', 'embeddings', 'messages'] as const).flatMap((api) =>
    API_NAMES[api].map((name): [string, Api] => [name, api]),
  ),
);

/** The API a shape belongs to when the sender named none. */
const API_OF_SHAPE: { readonly [Name in Shape]: Api } = { chat: 'chat', responses: 'responses', anthropic: 'messages' };

/** What a sender says about where a usage object comes from; any of it may be missing or wrong. */
export type Origin = {
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
  if (declared !== undefined) {
    note(
      findings,
      'unexpected_shape',
      `the usage of api ${shown(origin.api)} has the field names of ${API_OF_SHAPE[shape]}`,
    );
  }
  return dialectOf(provider, API_OF_SHAPE[shape]);
}

function dialectOf(provider: Provider, api: Api): Dialect {
  return provider.differing?.[api] ?? APIS[api];
}

function find<Value>(names: ReadonlyMap<string, Value>, name: string | undefined): Value | undefined {
  return typeof name === 'string' ? (names.get(name) ?? names.get(name.toLowerCase())) : undefined;
}

function providerOfModel(model: string | undefined): Provider {
  return typeof model === 'string' && model.startsWith('claude')
    ? (PROVIDERS.anthropic ?? UNKNOWN_PROVIDER)
    : UNKNOWN_PROVIDER;
}

function hasShape(usage: JsonObject, shape: Shape): boolean {
  switch (shape) {
    case 'chat':
      return usage.prompt_tokens !== undefined || usage.completion_tokens !== undefined;
    case 'responses':
    case 'anthropic':
      return usage.input_tokens !== undefined || usage.output_tokens !== undefined;
  }
}

/** The shape by its field names; `usual` settles what they leave open. */
function shapeOf(usage: JsonObject, usual: Shape): Shape | undefined {
  if (hasShape(usage, 'chat')) return 'chat';
  if (hasShape(usage, 'anthropic')) return inputOutputShape(usage, usual);
  return usage.total_tokens === undefined ? undefined : 'chat';
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
