import type { ChargeModelSpec } from './charge-model-schema.ts';
import { compileByPromptSize, compileTimeOfDay } from './compile-bands.ts';
import { compileMatrix } from './compile-matrix.ts';
import { compileSimpleModel } from './compile-simple-model.ts';
import type { CompiledModel } from './compiled-model.ts';
import type { Compiled } from './contract.ts';

/** `path` is where the model stands in the document, for the pointers of errors. */
export function compileChargeModel(spec: ChargeModelSpec, path: readonly (string | number)[]): Compiled<CompiledModel> {
  switch (spec.type) {
    case 'matrix':
      return compileMatrix(spec, path);
    case 'by_prompt_size':
      return compileByPromptSize(spec, path);
    case 'time_of_day':
      return compileTimeOfDay(spec, path);
    default:
      return compileSimpleModel(spec, path);
  }
}
