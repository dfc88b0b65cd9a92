/** One measured operating point of a deployment: an observation as `POST /v1/deployments/{key}/observations` takes it. */
export type MeasuredLoad = {
  /** Requests in flight, on average. */
  readonly concurrency: number;
  /** Prompt tokens of a request that were read anew, on average. */
  readonly inputTokens: number;
  /** Prompt tokens found in the prefix cache. */
  readonly cachedTokens: number;
  readonly outputTokens: number;
  /** Mean time between output tokens of one request, the first token apart. */
  readonly secondsPerOutputToken: number;
  /** Which file and which run in it. */
  readonly source: string;
};

/** Why a file gave no observation, in words for its owner. */
export type Unusable = { readonly source: string; readonly reason: string };

export type ReadLoads = { readonly loads: readonly MeasuredLoad[]; readonly unusable: readonly Unusable[] };

/** A point from raw figures, or what is missing in them. Tokens and concurrency are rounded to whole ones. */
export function measuredLoad(
  source: string,
  figures: {
    readonly concurrency: number | undefined;
    readonly promptTokens: number | undefined;
    /** Of the prompt; undefined counts as none. */
    readonly cachedTokens?: number | undefined;
    readonly outputTokens: number | undefined;
    readonly secondsPerOutputToken: number | undefined;
  },
): MeasuredLoad | Unusable {
  const { concurrency, promptTokens, cachedTokens = 0, outputTokens, secondsPerOutputToken } = figures;
  const missing = [
    ['requests in flight', concurrency],
    ['prompt tokens', promptTokens],
    ['output tokens', outputTokens],
    ['time per output token', secondsPerOutputToken],
  ].flatMap(([name, value]) =>
    typeof value === 'number' && Number.isFinite(value) && value > 0 ? [] : [String(name)],
  );
  if (
    missing.length > 0 ||
    concurrency === undefined ||
    promptTokens === undefined ||
    outputTokens === undefined ||
    secondsPerOutputToken === undefined
  ) {
    return { source, reason: `no ${missing.join(', no ')}` };
  }
  if (outputTokens < 2) return { source, reason: 'its requests write one token, so there is no time between tokens' };
  const cached = Math.min(Math.max(0, cachedTokens), promptTokens);
  return {
    concurrency: Math.max(1, Math.round(concurrency)),
    inputTokens: Math.round(promptTokens - cached),
    cachedTokens: Math.round(cached),
    outputTokens: Math.round(outputTokens),
    secondsPerOutputToken,
    source,
  };
}

export function sorted(results: readonly (MeasuredLoad | Unusable)[]): ReadLoads {
  return {
    loads: results.filter((one) => 'concurrency' in one),
    unusable: results.filter((one) => 'reason' in one),
  };
}
