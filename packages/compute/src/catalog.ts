import accelerators from './data/accelerators.json' with { type: 'json' };
import models from './data/models.json' with { type: 'json' };

/** An open model: its config values, published totals and where each was found. */
export type CatalogModel = {
  readonly name: string;
  readonly hfId: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly configSource: string;
  /** Rounded as published; null where nothing is published. Active parameters follow the vendor's own variant. */
  readonly published: {
    readonly totalParams: number | null;
    readonly activeParams: number | null;
    readonly source: string;
  };
  readonly note?: string;
};

/** A device. Peaks are dense (no 2:4 sparsity), decimal FLOP/s; bandwidth in byte/s; the link is one direction per device. */
export type Accelerator = {
  readonly id: string;
  readonly name: string;
  readonly vendor: string;
  /** FLOP/s; null where the device has no such unit. */
  readonly peak: {
    readonly bf16: number;
    readonly fp8: number | null;
    readonly fp4: number | null;
    readonly int8: number | null;
  };
  readonly memoryBytes: number;
  readonly memoryBandwidth: number;
  readonly tdpWatt: number | null;
  /** byte/s; null where no source was found. */
  readonly link: number | null;
  /** USD a device-hour over the listed sources: a span to start from, never a quote. */
  readonly price: {
    readonly low: number | null;
    readonly typical: number | null;
    readonly high: number | null;
    readonly spot: number | null;
    readonly collectedOn: string;
    readonly sources: readonly string[];
  };
  readonly source: string;
  readonly note?: string;
};

const TERA = 1e12;
const scaled = (value: number | null, by: number): number | null => (value === null ? null : value * by);

export const MODELS: readonly CatalogModel[] = models.map((row) => ({
  name: row.name,
  hfId: row.hf_id,
  config: row.config,
  configSource: row.config_source,
  published: {
    totalParams: row.published.total_params,
    activeParams: row.published.active_params,
    source: row.published.source,
  },
  ...('note' in row && typeof row.note === 'string' ? { note: row.note } : {}),
}));

export const ACCELERATORS: readonly Accelerator[] = accelerators.map((row) => ({
  id: row.id,
  name: row.name,
  vendor: row.vendor,
  peak: {
    bf16: row.peak_dense_tflops.bf16 * TERA,
    fp8: scaled(row.peak_dense_tflops.fp8, TERA),
    fp4: scaled(row.peak_dense_tflops.fp4, TERA),
    int8: scaled(row.peak_dense_tflops.int8, TERA),
  },
  memoryBytes: row.memory_gb * 1e9,
  memoryBandwidth: row.memory_bandwidth_tb_s * TERA,
  tdpWatt: row.tdp_w,
  link: scaled(row.link_gb_s, 1e9),
  price: {
    low: row.price_usd_per_hour.low,
    typical: row.price_usd_per_hour.typical,
    high: row.price_usd_per_hour.high,
    spot: row.price_usd_per_hour.spot,
    collectedOn: row.price_usd_per_hour.collected_on,
    sources: row.price_usd_per_hour.sources,
  },
  source: row.source,
  ...('note' in row && typeof row.note === 'string' ? { note: row.note } : {}),
}));

/** By name, hub id or the last part of a hub id; case and separators do not matter. */
export function findModel(name: string): CatalogModel | undefined {
  const wanted = plain(name);
  const tail = plain(name.split('/').at(-1) ?? name);
  return (
    MODELS.find((model) => plain(model.name) === wanted || plain(model.hfId) === wanted) ??
    MODELS.find((model) => plain(model.name) === tail || plain(model.hfId.split('/').at(-1) ?? '') === tail) ??
    MODELS.find((model) => plain(model.name) === tail.replace(/(instruct|chat|it|hf)$/, ''))
  );
}

/** By id (`h100-sxm`, `mi300x`) or name. */
export function findAccelerator(name: string): Accelerator | undefined {
  const wanted = plain(name);
  return ACCELERATORS.find((device) => plain(device.id) === wanted || plain(device.name) === wanted);
}

function plain(text: string): string {
  return text.toLowerCase().replace(/[^a-z0-9]/g, '');
}
