import { decimal, toText } from '@ergon/exact';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { predictTpot } from '../bench/fit-constants.ts';
import { servingRows } from '../bench/serving-rows.ts';
import { attributeStep } from './attribute-step.ts';
import { calibrate, hasDrifted } from './calibration.ts';
import { ACCELERATORS, findAccelerator, findModel } from './catalog.ts';
import { inferFlopsPerToken, inferParametersTouched } from './closed-model.ts';
import { type CompiledModel, compileModel } from './compile-model.ts';
import { computeUnits } from './compute-units.ts';
import { costOf } from './cost.ts';
import { energyOf } from './energy.ts';
import { estimateRequest, requestTime } from './estimate.ts';
import { randomArchitecture } from './random-architecture.test-support.ts';
import { readModelConfig } from './read-model-config.ts';
import { saturatedThroughput, sequenceCapacity, servingPoint } from './serving-point.ts';
import { stepBytes } from './step-bytes.ts';
import { STEP_FIT } from './step-fit.generated.ts';
import { type CompiledStep, compileStep, distinctExperts, stepTime } from './step-time.ts';
import { weightFormat } from './weight-format.ts';

function compiled(name: string): CompiledModel {
  const reading = readModelConfig(findModel(name)?.config);
  if (reading.kind !== 'known') throw new Error(name);
  return compileModel(reading.spec);
}

function device(name: string) {
  const found = findAccelerator(name);
  if (found === undefined) throw new Error(name);
  return found;
}

function stepOf(model: CompiledModel, devices = 1, accelerator = device('h100-sxm')): CompiledStep {
  return compileStep(
    model,
    { accelerator, tensorParallel: devices, weights: weightFormat('bf16'), cache: 'bf16' },
    STEP_FIT.constants,
  );
}

const steps = fc
  .tuple(randomArchitecture, fc.constantFrom(1, 2, 4, 8), fc.constantFrom(...ACCELERATORS))
  .map(([spec, devices, accelerator]) => stepOf(compileModel(spec), devices, accelerator));
const loads = fc.record({
  sequences: fc.integer({ min: 0, max: 512 }),
  context: fc.integer({ min: 0, max: 100_000 }),
  prefillTokens: fc.integer({ min: 1, max: 20_000 }),
  prefillContext: fc.integer({ min: 0, max: 100_000 }),
});
const modelled = calibrate([], 'moe');

describe('invariants of time (reference, 8.3)', () => {
  it('8: distinct experts are k for one token, never fewer for more, never more than all', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 512 }),
        fc.nat(511),
        fc.double({ min: 1, max: 5000, noNaN: true }),
        (experts, pick, tokens) => {
          const active = Math.min(experts, pick + 1);
          expect(distinctExperts(experts, active, 1)).toBeCloseTo(active, 9);
          const count = distinctExperts(experts, active, tokens);
          expect(count).toBeLessThanOrEqual(experts + 1e-9);
          expect(count).toBeGreaterThanOrEqual(active - 1e-9);
          expect(distinctExperts(experts, active, tokens + 1)).toBeGreaterThanOrEqual(count - 1e-9);
        },
      ),
    );
  });

  it('9: no step beats the roofline', () => {
    fc.assert(
      fc.property(steps, loads, (step, load) => {
        const time = stepTime(step, load);
        expect(time.seconds).toBeGreaterThanOrEqual(time.roofline * (1 - 1e-12));
        expect(time.flops / (time.seconds * step.peak)).toBeLessThanOrEqual(1);
        expect(time.bytes / (time.seconds * step.serving.accelerator.memoryBandwidth)).toBeLessThanOrEqual(1 + 1e-12);
      }),
    );
  });

  it('bytes of a step by part sum to what its time is computed from', () => {
    fc.assert(
      fc.property(steps, loads, (step, load) => {
        const parts = stepBytes(step, load);
        const memory = parts.weights + parts.experts + parts.cacheRead + parts.cacheWrite + parts.state;
        const total = stepTime(step, load).bytes * step.serving.tensorParallel;
        expect(Math.abs(Number(memory) - total)).toBeLessThanOrEqual(5 + total * 1e-12);
      }),
    );
  });

  it('10: device time per token falls with the batch while memory bounds the step', () => {
    const step = stepOf(compiled('Llama-3.1-70B'), 4);
    const perToken = (batch: number) =>
      stepTime(step, { sequences: batch, context: 2000, prefillTokens: 0, prefillContext: 0 }).seconds / batch;
    for (let batch = 1; batch < 128; batch *= 2) expect(perToken(batch * 2)).toBeLessThan(perToken(batch));
  });

  it('10: no architecture pays more device time per token in a larger batch', () => {
    fc.assert(
      fc.property(steps, fc.nat(100_000), fc.integer({ min: 1, max: 256 }), (step, context, batch) => {
        const perToken = (sequences: number) =>
          stepTime(step, { sequences, context, prefillTokens: 0, prefillContext: 0 }).seconds / sequences;
        expect(perToken(batch + 1)).toBeLessThanOrEqual(perToken(batch) * (1 + 1e-12));
      }),
    );
  });

  it('10: shares of a step sum to what was measured, to the nanosecond', () => {
    const parts = fc.array(fc.record({ newTokens: fc.integer({ min: 1, max: 4000 }), context: fc.nat(50_000) }), {
      minLength: 1,
      maxLength: 40,
    });
    fc.assert(
      fc.property(steps, parts, fc.bigInt({ min: 0n, max: 10n ** 12n }), (step, requests, measured) => {
        const shares = attributeStep(step, requests, measured);
        expect(shares.reduce((sum, share) => sum + share, 0n)).toBe(measured);
        expect(shares.every((share) => share >= 0n)).toBe(true);
      }),
    );
  });

  it('10: a longer context carries a larger share of the step', () => {
    const [short, long] = attributeStep(
      stepOf(compiled('Llama-3.1-8B')),
      [
        { newTokens: 1, context: 100 },
        { newTokens: 1, context: 30_000 },
      ],
      10_000_000n,
    );
    expect(long).toBeGreaterThan(short ?? 0n);
  });

  it('11: cutting a model over more devices keeps its arithmetic and floors the cache at one head', () => {
    const model = compiled('Llama-3.1-70B');
    const [one, eight, sixteen] = [1, 8, 16].map((devices) => stepOf(model, devices));
    expect((eight?.linearFlops ?? 0) * 8).toBeCloseTo(one?.linearFlops ?? 0, -3);
    expect(sixteen?.caches[0]?.bytes).toBe(eight?.caches[0]?.bytes);
    expect(stepOf(compiled('DeepSeek-V3'), 8).caches[0]?.bytes).toBe(61 * 576 * 2);
  });

  it('11: over any number of devices the arithmetic of a step is that of one, for every architecture', () => {
    fc.assert(
      fc.property(randomArchitecture, fc.constantFrom(2, 3, 4, 8, 16), loads, (spec, devices, load) => {
        const model = compileModel(spec);
        const [one, cut] = [stepOf(model), stepOf(model, devices)];
        const whole = stepTime(one, load).flops;
        expect(Math.abs(stepTime(cut, load).flops * devices - whole)).toBeLessThanOrEqual(whole * 1e-9);
        // A device keeps at least one head of each cache: cutting further repeats it instead.
        for (const [index, cache] of cut.caches.entries()) {
          const shards = Math.max(1, model.cache[index]?.shards ?? 1);
          expect(cache.bytes * Math.min(devices, shards)).toBeCloseTo(one.caches[index]?.bytes ?? Number.NaN, 6);
        }
      }),
    );
  });

  it('13: low <= expected <= high; cost is linear in the price and falls with utilisation', () => {
    fc.assert(
      fc.property(
        steps,
        fc.integer({ min: 1, max: 5000 }),
        fc.nat(5000),
        fc.integer({ min: 1, max: 500 }),
        (step, newTokens, cachedTokens, outputTokens) => {
          const { acceleratorSeconds } = estimateRequest(
            step,
            { newTokens, cachedTokens, outputTokens },
            { batch: 16 },
            modelled,
          );
          expect(acceleratorSeconds.low).toBeLessThanOrEqual(acceleratorSeconds.expected);
          expect(acceleratorSeconds.expected).toBeLessThanOrEqual(acceleratorSeconds.high);
        },
      ),
    );
    const seconds = { low: 1, expected: 36, high: 72 };
    const at = (perDeviceHour: string, utilisation: string) =>
      toText(costOf(seconds, { perDeviceHour: decimal(perDeviceHour), utilisation: decimal(utilisation) }).expected);
    expect(Number(at('2', '1'))).toBe(0.02);
    expect(Number(at('4', '1'))).toBe(0.04);
    expect(Number(at('2', '0.5'))).toBe(0.04);
  });

  it('what a meter records is the time and the bytes of the estimate', () => {
    fc.assert(
      fc.property(steps, fc.nat(5000), fc.nat(5000), fc.nat(500), (step, newTokens, cachedTokens, outputTokens) => {
        const work = { newTokens, cachedTokens, outputTokens };
        const { prefill, decode, hbmBytes } = estimateRequest(step, work, { batch: 16 }, modelled);
        expect(requestTime(step, work, { batch: 16 })).toEqual({
          acceleratorSeconds: prefill.acceleratorSeconds + decode.acceleratorSeconds,
          hbmBytes,
        });
      }),
    );
  });

  it('a cached prefix makes a request cheaper in FLOPs and seconds, and not free', () => {
    const step = stepOf(compiled('Qwen3-30B-A3B'), 2);
    const of = (newTokens: number, cachedTokens: number) =>
      estimateRequest(step, { newTokens, cachedTokens, outputTokens: 100 }, { batch: 16 }, modelled);
    const [cached, whole, alone] = [of(1024, 7168), of(8192, 0), of(1024, 0)];
    expect(cached.flops.prefill).toBe(11777825308672n);
    expect(alone.flops.prefill).toBe(6005389262848n);
    expect(cached.acceleratorSeconds.expected).toBeLessThan(whole.acceleratorSeconds.expected);
    expect(cached.acceleratorSeconds.expected).toBeGreaterThan(alone.acceleratorSeconds.expected);
  });
});

describe('errors found in peers stay theirs (reference, 4.5): time', () => {
  it('InferSim: no constant 30 ms stand before the first token, nor 5 ms before each', () => {
    const { prefillSeconds, secondsPerOutputToken } = estimateRequest(
      stepOf(compiled('Qwen3-0.6B')),
      { newTokens: 16, cachedTokens: 0, outputTokens: 2 },
      { batch: 1 },
      modelled,
    );
    expect(prefillSeconds).toBeLessThan(0.01);
    expect(secondsPerOutputToken.expected).toBeLessThan(0.005);
  });

  it('EcoLogits: the batch is an input, not always 64', () => {
    const step = stepOf(compiled('Llama-3.1-8B'));
    const secondsAt = (batch: number) =>
      estimateRequest(step, { newTokens: 100, cachedTokens: 0, outputTokens: 100 }, { batch }, modelled)
        .acceleratorSeconds.expected;
    expect(secondsAt(1)).toBeGreaterThan(5 * secondsAt(64));
  });

  it.each(['h100-sxm', 'h200-sxm', 'h800-sxm'])(
    'GenZ: the bf16 peak of %s is the dense 989, not the sparse 1,979',
    (name) => {
      expect(device(name).peak.bf16).toBe(989e12);
    },
  );
});

describe('the fit', () => {
  it('reproduces the rows it was fitted to (in sample; families left out are in the bench)', () => {
    const rows = servingRows();
    if (rows === undefined)
      throw new Error('../shared/data/serving-measurements is absent: nothing to check the fit with');
    const errors = rows.map((row) => Math.abs(predictTpot(row, STEP_FIT.constants) / row.tpot - 1));
    const sorted = errors.toSorted((one, other) => one - other);
    expect(rows.length).toBe(STEP_FIT.rows);
    expect(sorted[Math.floor(sorted.length / 2)]).toBeLessThan(0.12);
    expect(errors.reduce((sum, error) => sum + error, 0) / errors.length).toBeLessThan(0.17);
  });

  it('ships errors of families left out within the targets', () => {
    expect(STEP_FIT.leftOut.all.median).toBeLessThanOrEqual(0.12);
    expect(STEP_FIT.leftOut.all.mean).toBeLessThanOrEqual(0.18);
    expect(STEP_FIT.leftOut.dense.median).toBeLessThanOrEqual(0.08);
  });
});

describe('calibration of a deployment', () => {
  const seen = (ratio: number, count: number) =>
    Array.from({ length: count }, () => ({ predicted: 1, measured: ratio }));

  it('without observations it is the fit and its intervals; one already moves it, most of the way by five', () => {
    expect(modelled).toMatchObject({ factor: 1, observations: 0, timeBasis: 'modelled' });
    const one = calibrate(seen(1.5, 1), 'moe');
    const five = calibrate(seen(1.5, 5), 'moe');
    expect(one.factor).toBeGreaterThan(1.1);
    expect(five.factor).toBeGreaterThan(1.35);
    expect(five.high / five.low).toBeLessThan(modelled.high / modelled.low);
    expect(five.timeBasis).toBe('calibrated');
  });

  it('from 19 observations on, the interval is split-conformal: it holds nine of ten of its own points', () => {
    const ratios = Array.from({ length: 100 }, (_, index) => 0.8 + index * 0.004);
    const observations = ratios.map((measured) => ({ predicted: 1, measured }));
    const { low, high } = calibrate(observations, 'dense');
    expect(ratios.filter((ratio) => ratio >= low && ratio <= high).length).toBeGreaterThanOrEqual(90);
    expect(high - low).toBeLessThan(0.4);
  });

  it('drift is raised when measurements leave the interval, not by one outlier', () => {
    const calibration = calibrate(seen(1, 30), 'dense');
    expect(hasDrifted(calibration, [...seen(1, 7), ...seen(3, 1)])).toBe(false);
    expect(hasDrifted(calibration, seen(2, 4))).toBe(true);
  });
});

describe('serving points', () => {
  it('the batch is what the cache holds, however many requests wait', () => {
    const step = stepOf(compiled('Llama-3.1-8B'));
    const capacity = sequenceCapacity(step, 8000);
    expect(capacity).toBe(Math.floor((72e9 - step.fixedBytes) / (8000 * 131072)));
    const point = servingPoint(step, { concurrency: 10_000, newTokens: 7500, cachedTokens: 0, outputTokens: 1000 });
    expect(point.batch).toBeLessThanOrEqual(capacity);
  });

  it('saturated throughput grows with the batch the engine allows', () => {
    const step = stepOf(compiled('Llama-3.1-70B'), 8);
    const load = { newTokens: 128, cachedTokens: 0, outputTokens: 2048 };
    expect(saturatedThroughput(step, load, 256)).toBeGreaterThan(saturatedThroughput(step, load, 32));
  });
});

describe('energy, units, closed models', () => {
  const site = { pue: 1.1, gramsCo2ePerKwh: 400, method: 'location' } as const;
  it('energy grows outwards with the boundary, and per token falls with the batch', () => {
    const step = stepOf(compiled('Llama-3.1-8B'));
    const at = (batch: number) => {
      const { prefill, decode } = estimateRequest(
        step,
        { newTokens: 200, cachedTokens: 0, outputTokens: 400 },
        { batch },
        modelled,
      );
      return energyOf(step, [prefill, decode], site);
    };
    const small = at(8);
    expect(small?.wattHours.node).toBeGreaterThan(small?.wattHours.accelerator ?? 0);
    expect(small?.wattHours.facility).toBeCloseTo((small?.wattHours.node ?? 0) * 1.1, 12);
    expect(small?.gramsCo2e).toBeCloseTo((small?.wattHours.facility ?? 0) * 0.4, 12);
    expect(at(256)?.wattHours.facility).toBeLessThan((small?.wattHours.facility ?? 0) / 4);
    expect(small?.assumptions.join()).toContain('location-based');
    // ML.ENERGY measured 0.455 J a token at batch 8 on one H100, decode and prefill together.
    expect(((small?.wattHours.accelerator ?? 0) * 3600) / 400).toBeGreaterThan(0.3);
    expect(((small?.wattHours.accelerator ?? 0) * 3600) / 400).toBeLessThan(0.7);
  });

  it('a device without a known TDP has no energy, rather than none', () => {
    const step = stepOf(compiled('Llama-3.1-8B'), 1, device('tpu-v5e'));
    expect(energyOf(step, [], site)).toBeUndefined();
  });

  it('compute units order models by their work on one reference device', () => {
    const work = { newTokens: 1000, cachedTokens: 0, outputTokens: 200 };
    const units = (name: string) => computeUnits(compiled(name), work).expected;
    expect(units('Llama-3.1-70B')).toBeGreaterThan(5 * units('Llama-3.1-8B'));
  });

  it('closed models: the interval holds the truth for open models served on devices of the assumed set', () => {
    const bytesPerWeight = { low: 0.5625, high: 2 };
    const accelerators = ['h100-sxm', 'h200-sxm', 'b200-sxm'].map(device);
    for (const name of ['Llama-3.1-8B', 'Llama-3.1-70B', 'Llama-3.1-405B', 'Mixtral-8x7B', 'DeepSeek-V3']) {
      const model = compiled(name);
      const step = stepOf(model, 8);
      const secondsPerOutputToken = stepTime(step, {
        sequences: 4,
        context: 1000,
        prefillTokens: 0,
        prefillContext: 0,
      }).seconds;
      const seen = {
        secondsPerOutputToken,
        accelerators,
        deviceCounts: { low: 1, high: 16 },
        bytesPerWeight,
        tokensPerStep: { low: 1, high: 4 },
      };
      const inferred = inferParametersTouched(seen);
      const touched =
        step.fixedBytes * 4 +
        step.experts.reduce(
          (sum, shape) => sum + (shape.bytes / 2) * 8 * distinctExperts(shape.count, shape.perToken, 4),
          0,
        );
      expect(inferred.low).toBeLessThan(touched);
      expect(inferred.high).toBeGreaterThan(touched);
      expect(inferred.width).toBeGreaterThan(10);
      const priced = inferFlopsPerToken(seen, { usdPerToken: 1e-6, usdPerDeviceSecond: 1 / 1800, marginLow: 1 });
      expect(priced.high).toBeLessThanOrEqual(inferFlopsPerToken(seen).high);
      expect(priced.basis).toBe('inferred');
    }
  });
});
