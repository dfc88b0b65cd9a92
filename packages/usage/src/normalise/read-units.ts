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
  let units: MutableUnits | undefined;
  const serverTools = object(usage?.server_tool_use);
  if (serverTools !== undefined) {
    units = {};
    putCount(units, 'web_searches', serverTools.web_search_requests, findings);
    putCount(units, 'web_fetches', serverTools.web_fetch_requests, findings);
  }
  if (stated === undefined || stated === null) return units;
  return putStated(units ?? {}, stated, findings);
}

function putCount(units: MutableUnits, name: UnitName, value: unknown, findings: Findings): void {
  const quantity = count(value, name, findings);
  if (quantity > 0) units[name] = String(quantity);
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
    const quantity = typeof value === 'number' ? String(value) : value;
    if (name === undefined) {
      fault(findings, 'unknown_unit', `${shown(key)} is not a unit; it was left out`);
    } else if (typeof quantity !== 'string' || !DECIMAL.test(quantity)) {
      fault(findings, 'not_a_quantity', `${key} is ${shown(value)}, not a decimal of at least 0; it was left out`);
    } else {
      units[name] = quantity;
    }
  }
  return units;
}
