import { compare, type Decimal, parseDecimal, toText } from '@ergon/exact';
import type { ByPromptSizeSpec, TimeOfDaySpec, UsageModelSpec } from './charge-model-schema.ts';
import { compileSimpleModel } from './compile-simple-model.ts';
import { type CompiledModel, LOCAL_TIME_DIMENSION, PROMPT_TOKENS_DIMENSION } from './compiled-model.ts';
import { type Child, compositeModel } from './composite-model.ts';
import type { Compiled, Dimensions, SpecError } from './contract.ts';
import { localTime, minuteOfDay } from './local-time.ts';
import { specError } from './spec-error.ts';
import { checkBounds } from './tiers.ts';
import { toDecimal, type WireDecimal } from './wire-decimal.ts';

type Path = readonly (string | number)[];

/** Long-context prices: one bucket a band, chosen by the request's whole prompt, for the whole request. */
export function compileByPromptSize(spec: ByPromptSizeSpec, path: Path): Compiled<CompiledModel> {
  const errors: SpecError[] = [...checkBounds(spec.bands, [...path, 'bands'])];
  const children = spec.bands.map(({ up_to: bound, charge_model: model }, index): Band => {
    const upTo = bound === null ? undefined : toDecimal(bound);
    const key = upTo === undefined ? 'longer' : `up_to=${toText(upTo)}`;
    return { key, upTo, model: childModel(model, [...path, 'bands', index, 'charge_model'], errors) };
  });
  const bandOf = (text: string): Child | undefined => {
    const tokens = parseDecimal(text);
    if (tokens === undefined) return undefined;
    return children.find(({ upTo }) => upTo === undefined || compare(tokens, upTo) <= 0);
  };
  // Asked for each quantity of a request, of which all have the same prompt.
  let latest: { readonly text: string; readonly band: Child | undefined } | undefined;
  const choose = (dimensions: Dimensions): Child | undefined => {
    const text = dimensions[PROMPT_TOKENS_DIMENSION];
    if (typeof text !== 'string') return undefined;
    if (latest?.text !== text) latest = { text, band: bandOf(text) };
    return latest.band;
  };
  return finished(children, choose, spec.minimum, errors);
}

type Band = Child & { readonly upTo: Decimal | undefined };

/** Prices by local time: one bucket a band, and one for the rest of the day where there is a default. */
export function compileTimeOfDay(spec: TimeOfDaySpec, path: Path): Compiled<CompiledModel> {
  const errors: SpecError[] = [];
  const byMinute: (Child | undefined)[] = Array.from({ length: 24 * 60 });
  const minutesOf = (child: () => Child | undefined) => (hour: string) => {
    const first = localTime({ [LOCAL_TIME_DIMENSION]: hour })?.minuteOfDay ?? 0;
    return byMinute.slice(first, first - (first % 60) + 60).filter((one) => one === child()).length;
  };
  const choose = (dimensions: Dimensions): Child | undefined => {
    const time = localTime(dimensions);
    return time === undefined ? undefined : byMinute[time.minuteOfDay];
  };
  const children: Child[] = spec.bands.map((band, index) => {
    const model = childModel(band.charge_model, [...path, 'bands', index, 'charge_model'], errors);
    const child: Child = { key: `from=${band.from}`, model, minutesOf: minutesOf(() => child) };
    if (!claim(byMinute, child, minuteOfDay(band.from), minuteOfDay(band.to))) {
      errors.push(specError([...path, 'bands', index], 'overlaps a band before it', 'let each minute be in one band'));
    }
    return child;
  });
  if (spec.default !== undefined) {
    const model = childModel(spec.default, [...path, 'default'], errors);
    const rest: Child = { key: 'default', model, minutesOf: minutesOf(() => rest) };
    byMinute.forEach((child, minute) => {
      byMinute[minute] = child ?? rest;
    });
    children.push(rest);
  }
  return finished(children, choose, spec.minimum, errors);
}

/** Gives the minutes from `from` to before `to`, over midnight where `to` is not later, to a child; false where one is taken. */
function claim(byMinute: (Child | undefined)[], child: Child, from: number, to: number): boolean {
  const length = to > from ? to - from : to - from + byMinute.length;
  for (let step = 0; step < length; step++) {
    const minute = (from + step) % byMinute.length;
    if (byMinute[minute] !== undefined) return false;
    byMinute[minute] = child;
  }
  return true;
}

/** The compiled model of a band; with errors pushed, one that is never used. */
function childModel(spec: UsageModelSpec, path: Path, errors: SpecError[]): CompiledModel {
  const compiled = compileSimpleModel(spec, path);
  if (compiled.ok) return compiled.value;
  errors.push(...compiled.errors);
  return compositeModel([], () => undefined, undefined);
}

function finished(
  children: readonly Child[],
  choose: (dimensions: Dimensions) => Child | undefined,
  minimum: WireDecimal | undefined,
  errors: readonly SpecError[],
): Compiled<CompiledModel> {
  if (errors.length > 0) return { ok: false, errors };
  return { ok: true, value: compositeModel(children, choose, minimum === undefined ? undefined : toDecimal(minimum)) };
}
