/** Columns of `run` that count, as integers. */
export const RUN_COUNTS = [
  'requests',
  'errors',
  'retries',
  'input_tokens',
  'cached_tokens',
  'output_tokens',
  'tool_calls',
] as const;

/** Columns of `run` that add up decimals. */
export const RUN_DECIMALS = [
  'flops',
  'hbm_bytes',
  'accelerator_seconds',
  'accelerator_seconds_allocated',
  'accelerator_seconds_reported',
  'compute_units',
  'physical_cost',
] as const;

/** Columns of `run` that add up its events' quantities; beside them stand the sums of money, `charge` and `provider_cost`. */
export const RUN_QUANTITIES = [...RUN_COUNTS, ...RUN_DECIMALS] as const;
