import type { Interval, PhaseEstimate } from '@ergon/compute';
import { toText } from '@ergon/exact';
import type { CliIo } from '../io.ts';
import { amount, withGroups } from '../print/number.ts';
import { digits, duration, withPrefix } from '../print/quantity.ts';
import { createStyle } from '../print/style.ts';
import { type Column, printTable } from '../print/table.ts';
import type { EstimateQuestion, KnownEstimate, ModelEstimate } from './local-estimate.ts';
import { rooflinePlot } from './roofline-plot.ts';

/** Prints the estimates side by side: a column a model. */
export function printEstimates(
  io: CliIo,
  question: EstimateQuestion,
  estimates: readonly ModelEstimate[],
  hasRoofline: boolean,
): void {
  const style = createStyle(io);
  io.writeOut(`${heading(question)}\n\n`);
  const columns: Column[] = [{ name: '' }, ...estimates.map((one): Column => ({ name: one.name, align: 'right' }))];
  const rows = ROWS.map(([name, show]) => [name, ...estimates.map((one) => (one.kind === 'known' ? show(one) : ''))]);
  const flops = ['FLOPs', ...estimates.map(flopsText)];
  printTable(io, columns, [flops, ...rows.filter((row) => row.slice(1).some((cell) => cell !== ''))]);
  for (const note of notes(question, estimates)) io.writeOut(style.dim(`${note}\n`));
  if (hasRoofline) drawRooflines(io, question, estimates);
}

function heading({ accelerator, work, batch }: EstimateQuestion): string {
  const cached = work.cachedTokens > 0 ? ` on ${withGroups(work.cachedTokens)} cached` : '';
  return `${withGroups(work.newTokens)} tokens in${cached}, ${withGroups(work.outputTokens)} out, batch ${batch}, on ${accelerator.name}`;
}

const ROWS: readonly (readonly [string, (one: KnownEstimate) => string])[] = [
  ['  prefill', ({ estimate }) => withPrefix(estimate.flops.prefill, 'FLOP')],
  ['  decode', ({ estimate }) => withPrefix(estimate.flops.decode, 'FLOP')],
  ['HBM bytes', ({ estimate }) => withPrefix(estimate.hbmBytes, 'B')],
  ['devices, weights', ({ devices, step }) => `${devices}, ${step.serving.weights.routed_experts}`],
  ['accelerator-seconds', ({ estimate }) => duration(estimate.acceleratorSeconds.expected)],
  ['  90 % interval', ({ estimate }) => spanText(estimate.acceleratorSeconds, duration)],
  ['compute units', ({ computeUnits }) => digits(computeUnits.expected)],
  ['cost', ({ cost }) => (cost === undefined ? '' : `${amount(toText(cost.expected))} USD`)],
  [
    '  90 % interval',
    ({ cost }) => (cost === undefined ? '' : `${amount(toText(cost.low))} to ${amount(toText(cost.high))}`),
  ],
  ['first token, alone', ({ estimate }) => duration(estimate.prefillSeconds)],
  ['each further token', ({ estimate }) => duration(estimate.secondsPerOutputToken.expected)],
  ['prefill bound by', ({ estimate }) => boundText(estimate.prefill)],
  ['decode bound by', ({ estimate }) => boundText(estimate.decode)],
];

function spanText(interval: Interval, show: (value: number) => string): string {
  return `${show(interval.low)} to ${show(interval.high)}`;
}

/** `memory (MFU 3 %, MBU 61 %)`; nothing for a phase that the request does not have. */
function boundText(phase: PhaseEstimate): string {
  if (phase.acceleratorSeconds === 0) return '';
  return `${phase.bound} (MFU ${percent(phase.mfu)}, MBU ${percent(phase.mbu)})`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;
}

function flopsText(one: ModelEstimate): string {
  if (one.kind === 'known') return withPrefix(one.estimate.flops.total, 'FLOP');
  return `${withPrefix(one.flops.low, 'FLOP')} to ${withPrefix(one.flops.high, 'FLOP')}`;
}

function notes(question: EstimateQuestion, estimates: readonly ModelEstimate[]): string[] {
  const { pricePerHour, accelerator, batch, utilisation } = question;
  const price =
    pricePerHour === undefined
      ? `no public price of ${accelerator.id} is known; --price gives one`
      : `${amount(toText(pricePerHour))} USD a device-hour, utilisation ${toText(utilisation)}`;
  const lines = [`ergon-flops-1; times modelled, not measured; ${price}`];
  for (const one of estimates) {
    if (one.kind === 'bounded') {
      lines.push(`${one.name}: no tested rule for its family; not read: ${one.unread.join(', ')}`);
    } else if (one.capacity < batch) {
      lines.push(`${one.name}: the cache of ${one.capacity} such sequences fits, not of ${batch}; use more devices`);
    }
  }
  return lines;
}

function drawRooflines(io: CliIo, { accelerator }: EstimateQuestion, estimates: readonly ModelEstimate[]): void {
  const known = estimates.filter((one) => one.kind === 'known');
  for (const peak of new Set(known.map((one) => one.step.peak))) {
    const points = known
      .filter((one) => one.step.peak === peak)
      .flatMap((one, index) => {
        const { prefill, decode } = one.estimate;
        const [large, small] = [String.fromCharCode(65 + index), String.fromCharCode(97 + index)];
        return [
          {
            mark: large,
            label: `${one.name} prefill`,
            intensity: prefill.arithmeticIntensity,
            rate: prefill.mfu * peak,
          },
          { mark: small, label: `${one.name} decode`, intensity: decode.arithmeticIntensity, rate: decode.mfu * peak },
        ];
      });
    const shown = points.filter((point) => point.intensity > 0 && point.rate > 0);
    io.writeOut(`\n${rooflinePlot({ peak, bandwidth: accelerator.memoryBandwidth }, shown)}`);
  }
}

/** The answer of `POST /v1/estimate` for each model, as far as it needs no server. */
export function estimatesToJson(question: EstimateQuestion, estimates: readonly ModelEstimate[]) {
  const { work, accelerator, batch } = question;
  return {
    tokens: { input: String(work.newTokens), cache_read: String(work.cachedTokens), output: String(work.outputTokens) },
    accelerator: accelerator.id,
    batch_size: batch,
    convention: 'ergon-flops-1',
    coverage: '0.9',
    estimates: estimates.map((one) => (one.kind === 'known' ? knownToJson(question, one) : boundedToJson(one))),
  };
}

function knownToJson(question: EstimateQuestion, { name, devices, estimate, computeUnits, cost }: KnownEstimate) {
  const { flops, prefill, decode } = estimate;
  return {
    model: name,
    basis: estimate.basis,
    time_basis: estimate.timeBasis,
    accelerator_count: devices,
    flops: String(flops.total),
    prefill_flops: String(flops.prefill),
    decode_flops: String(flops.decode),
    hbm_bytes: String(estimate.hbmBytes),
    accelerator_seconds: nanoseconds(estimate.acceleratorSeconds),
    compute_units: nanoseconds(computeUnits),
    seconds_to_first_token: estimate.prefillSeconds.toFixed(9),
    seconds_per_output_token: nanoseconds(estimate.secondsPerOutputToken),
    prefill: phaseToJson(prefill),
    decode: phaseToJson(decode),
    physical_cost:
      cost === undefined
        ? null
        : {
            low: toText(cost.low),
            expected: toText(cost.expected),
            high: toText(cost.high),
            currency: 'USD',
            price_per_device_hour: question.pricePerHour === undefined ? null : toText(question.pricePerHour),
          },
  };
}

function phaseToJson(phase: PhaseEstimate) {
  return {
    accelerator_seconds: phase.acceleratorSeconds.toFixed(9),
    hbm_bytes: String(phase.hbmBytes),
    bound: phase.bound,
    mfu: Number(phase.mfu.toFixed(6)),
    mbu: Number(phase.mbu.toFixed(6)),
    arithmetic_intensity: Number(phase.arithmeticIntensity.toPrecision(6)),
  };
}

function nanoseconds({ low, expected, high }: Interval) {
  return { low: low.toFixed(9), expected: expected.toFixed(9), high: high.toFixed(9) };
}

function boundedToJson(one: Extract<ModelEstimate, { readonly kind: 'bounded' }>) {
  return {
    model: one.name,
    basis: one.flops.basis,
    flops: { low: String(one.flops.low), high: String(one.flops.high) },
    unread_keys: one.unread,
  };
}
