type Vertex = { readonly at: readonly number[]; readonly value: number };

/** Nelder-Mead with the adaptive coefficients of Gao and Han (2012), from the origin. Deterministic. */
export function minimise(loss: (at: readonly number[]) => number, size: number, iterations: number): readonly number[] {
  const vertex = (at: readonly number[]): Vertex => ({ at, value: loss(at) });
  const origin = Array.from({ length: size }, () => 0);
  let simplex = [vertex(origin), ...origin.map((_, index) => vertex(origin.map((_, at) => (at === index ? 0.35 : 0))))];
  const [expansion, contraction, shrink] = [1 + 2 / size, 0.75 - 1 / (2 * size), 1 - 1 / size];
  for (let round = 0; round < iterations; round += 1) {
    simplex.sort((one, other) => one.value - other.value);
    const [best, worst, second] = [simplex[0], simplex[size], simplex[size - 1]];
    if (best === undefined || worst === undefined || second === undefined) break;
    const centre = origin.map(
      (_, at) => simplex.slice(0, size).reduce((sum, item) => sum + (item.at[at] ?? 0), 0) / size,
    );
    const along = (step: number) => vertex(centre.map((value, at) => value + step * ((worst.at[at] ?? 0) - value)));
    const reflected = along(-1);
    if (reflected.value < best.value) {
      const expanded = along(-expansion);
      simplex[size] = expanded.value < reflected.value ? expanded : reflected;
    } else if (reflected.value < second.value) simplex[size] = reflected;
    else {
      const contracted = along(reflected.value < worst.value ? -contraction : contraction);
      if (contracted.value < Math.min(reflected.value, worst.value)) simplex[size] = contracted;
      else
        simplex = simplex.map((item) =>
          item === best ? item : vertex(best.at.map((value, at) => value + shrink * ((item.at[at] ?? 0) - value))),
        );
    }
  }
  simplex.sort((one, other) => one.value - other.value);
  return simplex[0]?.at ?? origin;
}
