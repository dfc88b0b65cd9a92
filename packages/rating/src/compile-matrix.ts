import type { ByPromptSizeSpec, MatrixSpec, TimeOfDaySpec, UsageModelSpec } from './charge-model-schema.ts';
import { compileByPromptSize, compileTimeOfDay } from './compile-bands.ts';
import { compileSimpleModel } from './compile-simple-model.ts';
import type { CompiledModel } from './compiled-model.ts';
import { type Child, compositeModel } from './composite-model.ts';
import type { Compiled, Dimensions, SpecError } from './contract.ts';
import { accepts, compareRank, compileMatch, findTies, type Match, rememberChoice } from './match.ts';
import { specError } from './spec-error.ts';
import { toDecimal } from './wire-decimal.ts';

const DEFAULT_KEY = 'default';

type Cell = Child & { readonly match: Match };

/** A price by dimensions: buckets for each cell, so that each cell has its own running total. */
export function compileMatrix(spec: MatrixSpec, path: readonly (string | number)[]): Compiled<CompiledModel> {
  const errors: SpecError[] = [];
  const cells: Cell[] = [];
  spec.cells.forEach((cell, index) => {
    const cellPath = [...path, 'cells', index];
    const match = cellMatch(cell.match, spec.dimensions, cellPath, errors);
    const model = cellModel(cell, cellPath, errors);
    if (match !== undefined && model !== undefined) cells.push({ key: match.key, match, model });
  });
  const fallback = spec.default === undefined ? undefined : cellModel(spec.default, [...path, 'default'], errors);
  if (spec.cells.length === 0 && fallback === undefined) {
    errors.push(specError([...path, 'cells'], 'the matrix prices nothing', 'add a cell or a default'));
  }
  if (errors.length === 0) errors.push(...ties(cells, path));
  if (errors.length > 0) return { ok: false, errors };
  return { ok: true, value: matrixModel(spec, cells, fallback) };
}

function matrixModel(spec: MatrixSpec, cells: readonly Cell[], fallback: CompiledModel | undefined): CompiledModel {
  const rest: readonly Child[] = fallback === undefined ? [] : [{ key: DEFAULT_KEY, model: fallback }];
  const ranked = cells.toSorted((a, b) => compareRank(a.match, b.match));
  const choose = (dimensions: Dimensions): Child | undefined =>
    ranked.find(({ match }) => accepts(match, dimensions)) ?? rest[0];
  const minimum = spec.minimum === undefined ? undefined : toDecimal(spec.minimum);
  return compositeModel([...cells, ...rest], rememberChoice(spec.dimensions, choose), minimum);
}

function cellMatch(
  spec: Readonly<Record<string, string>>,
  dimensions: readonly string[],
  path: readonly (string | number)[],
  errors: SpecError[],
): Match | undefined {
  const stranger = Object.keys(spec).find((name) => !dimensions.includes(name));
  if (stranger !== undefined) {
    errors.push(
      specError([...path, 'match', stranger], `"${stranger}" is no dimension of this matrix`, 'name it in dimensions'),
    );
    return undefined;
  }
  if (Object.keys(spec).length === 0) {
    errors.push(specError([...path, 'match'], 'a cell for every dimension value', 'put it in default'));
    return undefined;
  }
  const match = compileMatch(spec);
  if (!('faulty' in match)) return match;
  errors.push(starError([...path, 'match', match.faulty]));
  return undefined;
}

/** The complaint about a `*` that is not the last character. */
export function starError(path: readonly (string | number)[]): SpecError {
  return specError(path, 'a * may only be the last character', 'end the value with one *, or name it in full');
}

function cellModel(
  { unit_amount: unitAmount, charge_model: model }: NonNullable<MatrixSpec['default']>,
  path: readonly (string | number)[],
  errors: SpecError[],
): CompiledModel | undefined {
  if ((model === undefined) === (unitAmount === undefined)) {
    errors.push(specError(path, 'a cell has either unit_amount or charge_model', 'give exactly one of the two'));
    return undefined;
  }
  const compiled =
    unitAmount === undefined
      ? model && compileChosenModel(model, [...path, 'charge_model'])
      : compileSimpleModel({ type: 'per_unit', unit_amount: unitAmount }, path);
  if (compiled === undefined || compiled.ok) return compiled?.value;
  errors.push(...compiled.errors);
  return undefined;
}

/** The model of a cell, which may itself choose by prompt size or time of day. */
function compileChosenModel(
  spec: UsageModelSpec | ByPromptSizeSpec | TimeOfDaySpec,
  path: readonly (string | number)[],
): Compiled<CompiledModel> {
  if (spec.type === 'by_prompt_size') return compileByPromptSize(spec, path);
  return spec.type === 'time_of_day' ? compileTimeOfDay(spec, path) : compileSimpleModel(spec, path);
}

function ties(cells: readonly Cell[], path: readonly (string | number)[]): SpecError[] {
  return findTies(cells.map((cell) => cell.match)).map(([a, b]) =>
    specError(
      [...path, 'cells', b, 'match'],
      `ties with cell ${a}: some dimensions fit both and neither is more exact`,
      'add a key to one of them or make one prefix longer',
    ),
  );
}
