import type { StepConstants } from '../src/index.ts';
import { fitConstants, predictTpot } from './fit-constants.ts';
import type { ServingRow } from './serving-rows.ts';

/** A row with its ratio measured / predicted by constants that never saw its model family. */
export type ScoredRow = { readonly row: ServingRow; readonly predicted: number; readonly ratio: number };

export function leaveFamiliesOut(rows: readonly ServingRow[], iterations: number): ScoredRow[] {
  return [...new Set(rows.map((row) => row.family))].flatMap((family) => {
    const constants: StepConstants = fitConstants(
      rows.filter((row) => row.family !== family),
      iterations,
    );
    return rows
      .filter((row) => row.family === family)
      .map((row) => {
        const predicted = predictTpot(row, constants);
        return { row, predicted, ratio: row.tpot / predicted };
      });
  });
}

/** |predicted / measured - 1|. */
export function errorsOf(rows: readonly { readonly ratio: number }[]): number[] {
  return rows.map((row) => Math.abs(1 / row.ratio - 1));
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
}

export function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Groups of one deployment: model, accelerator, engine, precision and parallelism. */
function byDeployment(rows: readonly ScoredRow[]): ScoredRow[][] {
  return [...Map.groupBy(rows, ({ row }) => row.deployment).values()];
}

/** Random splits of every deployment into `observed` rows and the rest, repeatable. */
export function calibrationSplits(
  rows: readonly ScoredRow[],
  observed: number,
  repeats: number,
): (readonly [ScoredRow[], ScoredRow[]])[] {
  let seed = 20261121;
  const random = (): number => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return seed / 2147483648;
  };
  const groups = byDeployment(rows).filter((group) => group.length >= observed + 3);
  return Array.from({ length: repeats }, () => groups)
    .flat()
    .map((group) => {
      const shuffled = group.map((item) => [random(), item] as const).toSorted((one, other) => one[0] - other[0]);
      const items = shuffled.map(([, item]) => item);
      return [items.slice(0, observed), items.slice(observed)] as const;
    });
}
