import type { ChargeModelSpec } from './charge-model-schema.ts';
import { compileMatrix } from './compile-matrix.ts';
import { compileSimpleModel } from './compile-simple-model.ts';
import type { CompiledModel } from './compiled-model.ts';
import type { Compiled } from './contract.ts';

/** `path` is where the model stands in the document, for the pointers of errors. */
export function compileChargeModel(spec: ChargeModelSpec, path: readonly (string | number)[]): Compiled<CompiledModel> {
  if (spec.type === 'matrix') return compileMatrix(spec, path);
  return { ok: true, value: compileSimpleModel(spec) };
}
