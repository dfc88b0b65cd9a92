import type { Accelerator } from './catalog.ts';
import type { PhaseEstimate } from './estimate.ts';
import type { CompiledStep } from './step-time.ts';

/** What is drawn in while a request is served; each boundary includes the one before it. */
export type EnergyBoundary = 'accelerator' | 'node' | 'facility';

export type EnergyEstimate = {
  readonly wattHours: Readonly<Record<EnergyBoundary, number>>;
  /** Grams of CO2-equivalent from electricity, at the facility boundary. */
  readonly gramsCo2e: number;
  /** Grams of manufacture, spread over the devices' life; 0 where nothing is given. */
  readonly gramsEmbodied: number;
  readonly boundary: 'facility';
  readonly assumptions: readonly string[];
};

export type EnergySite = {
  /** Power usage effectiveness: facility / node, at least 1. */
  readonly pue: number;
  /** Grams per kWh, and whether that is the grid's mix or bought electricity. */
  readonly gramsCo2ePerKwh: number;
  readonly method: 'location' | 'market';
  /** Kilograms per device with its share of the server, and its life in hours. */
  readonly embodied?: { readonly kilogramsPerDevice: number; readonly lifetimeHours: number };
};

/** Host processors, memory and network beside each watt of accelerator: 25 to 58 (Google, arXiv:2508.15734). */
const HOST_SHARE = 25 / 58;

/**
 * Watts of one busy device: a share of TDP that grows with the bandwidth and arithmetic in use. Own fit to 76 ML.ENERGY runs
 * (vLLM, H100 and B200): mean error 11.0 %, and 11.8 % on models left out of it. `mfu` is against the bf16 peak, so that
 * precisions compare. Devices of other makers take the same shares, for want of anything measured.
 */
export function busyPower(accelerator: Accelerator, use: { readonly mfu: number; readonly mbu: number }): number {
  const generation = accelerator.peak.fp4 === null ? 0 : POWER.blackwell;
  const arithmetic = Math.sqrt(Math.sqrt(Math.min(1, use.mfu)));
  const share = POWER.base + generation + POWER.memory * Math.min(1, use.mbu) + POWER.arithmetic * arithmetic;
  return (accelerator.tdpWatt ?? 0) * Math.min(POWER.max, Math.max(POWER.min, share));
}

const POWER = {
  base: 0.052,
  blackwell: 0.108,
  memory: 0.346,
  arithmetic: 1.343,
  /** About what an idle device draws. */
  min: 0.15,
  /** Above 1: the runs' step is the median one, and the energy of prefills between steps falls on it. */
  max: 1.3,
};

/**
 * Energy of a request's phases, with its boundary; undefined where the device's TDP is unknown. Give the phases of an
 * estimate, or of a measured step with its seconds put in.
 */
export function energyOf(
  step: CompiledStep,
  phases: readonly PhaseEstimate[],
  site: EnergySite,
): EnergyEstimate | undefined {
  const { accelerator } = step.serving;
  if (accelerator.tdpWatt === null) return undefined;
  const seconds = phases.reduce((sum, phase) => sum + phase.acceleratorSeconds, 0);
  const joules = phases.reduce((sum, phase) => {
    const mfu = (phase.mfu * step.peak) / accelerator.peak.bf16;
    return sum + phase.acceleratorSeconds * busyPower(accelerator, { mfu, mbu: phase.mbu });
  }, 0);
  const devices = joules / 3600;
  const node = devices * (1 + HOST_SHARE);
  const facility = node * site.pue;
  const { embodied } = site;
  return {
    wattHours: { accelerator: devices, node, facility },
    gramsCo2e: (facility / 1000) * site.gramsCo2ePerKwh,
    gramsEmbodied:
      embodied === undefined ? 0 : (embodied.kilogramsPerDevice * 1000 * seconds) / (embodied.lifetimeHours * 3600),
    boundary: 'facility',
    assumptions: [
      'busy time only: idle devices and training are outside',
      `host at ${HOST_SHARE.toFixed(2)} W per accelerator watt`,
      `power usage effectiveness ${site.pue}`,
      `${site.method}-based electricity at ${site.gramsCo2ePerKwh} gCO2e/kWh`,
    ],
  };
}
