import type { JsonObject } from '../normalise/json.ts';
import { text } from '../normalise/json.ts';

const MODEL_OPERATIONS: ReadonlySet<string> = new Set([
  'chat',
  'generate_content',
  'text_completion',
  'embeddings',
  'completion',
]);
const MODEL_REQUESTS: ReadonlySet<string> = new Set(['chat', 'completion', 'embedding', 'rerank']);
const MODEL_KINDS: ReadonlySet<string> = new Set(['LLM', 'EMBEDDING', 'RERANKER']);

/**
 * Whether a span is one call of a model, rather than an agent, chain or step that carries the sum of its children. The
 * instrumentation's own word decides, the most specific first; a span that says nothing is none.
 */
export function isModelCall(attributes: JsonObject): boolean {
  const aiOperation = text(attributes['ai.operationId']);
  if (aiOperation !== undefined) return /\.do[A-Z]/.test(aiOperation);
  const kind = text(attributes['openinference.span.kind']);
  if (kind !== undefined) return MODEL_KINDS.has(kind.toUpperCase());
  const operation = text(attributes['gen_ai.operation.name']);
  if (operation !== undefined) return MODEL_OPERATIONS.has(operation);
  if (text(attributes['traceloop.span.kind']) !== undefined) return false;
  return MODEL_REQUESTS.has(text(attributes['llm.request.type']) ?? '');
}
