import { UNIT_NAMES, type UnitName, type Units } from '../record.ts';
import { count, type Findings, fault, shown } from './count.ts';
import { type JsonObject, object } from './json.ts';

type MutableUnits = { [Name in UnitName]?: string };

const unitNames: ReadonlyMap<string, UnitName> = new Map(UNIT_NAMES.map((name) => [name, name]));

/**
 * Per-call units: those the usage object tells, overridden by those the sender states. `undefined` where there are none,
 * which spares the usual call an object.
 */
export function readUnits(usage: JsonObject | undefined, stated: unknown, findings: Findings): Units | undefined {
  const told = usage === undefined ? undefined : toldUnits(usage, findings);
  if (stated === undefined || stated === null) return told;
  return putStated(told ?? {}, stated, findings);
}

function toldUnits(usage: JsonObject, findings: Findings): MutableUnits | undefined {
  const anthropic = object(usage.server_tool_use);
  const xai = object(usage.server_side_tool_usage_details);
  const cohere = object(usage.billed_units);
  const isPlain =
    anthropic === undefined &&
    xai === undefined &&
    cohere === undefined &&
    usage.num_search_queries === undefined &&
    usage.citation_tokens === undefined &&
    usage.num_sources_used === undefined &&
    usage.prompt_audio_seconds === undefined &&
    usage.seconds === undefined;
  if (isPlain) return undefined;
  const units: MutableUnits = {};
  putCount(units, 'web_searches', anthropic?.web_search_requests, findings);
  putCount(units, 'web_fetches', anthropic?.web_fetch_requests, findings);
  putCount(units, 'code_executions', anthropic?.code_execution_requests, findings);
  putCount(units, 'web_searches', xai?.web_search_calls, findings);
  putCount(units, 'social_searches', xai?.x_search_calls, findings);
  putCount(units, 'code_executions', xai?.code_interpreter_calls, findings);
  putCount(units, 'file_searches', xai?.file_search_calls, findings);
  putCount(units, 'search_units', cohere?.search_units, findings);
  putCount(units, 'images', cohere?.images, findings);
  putCount(units, 'pages', cohere?.pages, findings);
  putCount(units, 'web_searches', usage.num_search_queries, findings);
  putCount(units, 'citation_tokens', usage.citation_tokens, findings);
  // xAI's live search bills by source consulted.
  putCount(units, 'search_units', usage.num_sources_used, findings);
  putSeconds(units, usage.prompt_audio_seconds ?? usage.seconds, findings);
  return units;
}

/** Most providers list every tool at zero, and a tool that was not used is not a quantity of anything. */
function putCount(units: MutableUnits, name: UnitName, value: unknown, findings: Findings): void {
  const quantity = count(value, name, findings);
  if (quantity > 0) units[name] = String(quantity);
}

function putSeconds(units: MutableUnits, value: unknown, findings: Findings): void {
  if (value === undefined || value === null) return;
  const seconds = quantityText(value);
  if (seconds !== undefined) units.audio_seconds = seconds;
  else fault(findings, 'not_a_quantity', `audio seconds are ${shown(value)}; they were left out`);
}

const DECIMAL = /^\d{1,18}(?:\.\d{1,18})?$/;

function putStated(units: MutableUnits, stated: unknown, findings: Findings): Units {
  const sent = object(stated);
  if (sent === undefined) {
    fault(findings, 'units_not_an_object', `units is ${shown(stated)}, not an object of unit names`);
    return units;
  }
  for (const key in sent) {
    const name = unitNames.get(key);
    const value = sent[key];
    if (value === undefined || value === null) continue;
    const quantity = quantityText(value);
    if (name === undefined) {
      fault(findings, 'unknown_unit', `${shown(key)} is not a unit; it was left out`);
    } else if (quantity === undefined) {
      fault(findings, 'not_a_quantity', `${key} is ${shown(value)}, not a decimal of at least 0; it was left out`);
    } else {
      units[name] = quantity;
    }
  }
  return units;
}

/** A decimal literal of at least 0, or `undefined`. */
function quantityText(value: unknown): string | undefined {
  const literal = typeof value === 'number' ? String(value) : value;
  return typeof literal === 'string' && DECIMAL.test(literal) ? literal : undefined;
}
