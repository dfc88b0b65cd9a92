import { object, text } from '../normalise/json.ts';
import type { Units } from '../record.ts';

/**
 * Tool calls that OpenAI bills by the call, counted from the items of a Responses answer, because its usage does not tell
 * them. A web search that only opens a page or looks inside one is not a search; code interpreter is billed by container.
 */
export function countToolCalls(output: unknown): Units | undefined {
  if (!Array.isArray(output)) return undefined;
  let webSearches = 0;
  let fileSearches = 0;
  let images = 0;
  let codeExecutions = 0;
  const containers = new Set<string>();
  for (const entry of output) {
    const item = object(entry);
    switch (item?.type) {
      case 'web_search_call': {
        const action = object(item.action)?.type;
        if (action === undefined || action === 'search') webSearches += 1;
        break;
      }
      case 'file_search_call':
        fileSearches += 1;
        break;
      case 'image_generation_call':
        images += 1;
        break;
      case 'code_interpreter_call': {
        const container = text(item.container_id);
        if (container === undefined) codeExecutions += 1;
        else containers.add(container);
        break;
      }
      default:
    }
  }
  codeExecutions += containers.size;
  const units = {
    ...(webSearches > 0 && { web_searches: String(webSearches) }),
    ...(fileSearches > 0 && { file_searches: String(fileSearches) }),
    ...(images > 0 && { images: String(images) }),
    ...(codeExecutions > 0 && { code_executions: String(codeExecutions) }),
  };
  return Object.keys(units).length === 0 ? undefined : units;
}
