/**
 * How many marginal ratings one core does in a second, for each charge model.
 *
 *     node packages/rating/bench/rating.bench.ts [--json]
 *
 * The quantity grows by a changing number of tokens, as an accumulator does, and starts again after each lap so that tiers
 * are crossed; the sum of marginals is compared with R(total) at the end, so a fast wrong answer fails.
 */
import { add, compare, type Decimal, decimal, negate, subtract, toText, ZERO } from '@ergon/exact';
import { compileRateCard, FIRST_EVENT, weightedSum } from '../src/index.ts';

const LAP = 2000;
const MEASURED_MS = 400;

const tiers = [
  { up_to: '1000000', unit_amount: '0.000003', flat_amount: '5' },
  { up_to: '2500000', unit_amount: '0.0000025' },
  { up_to: '5000000', unit_amount: '0.000002' },
  { up_to: null, unit_amount: '0.0000015' },
];
const perUnit = { type: 'per_unit', unit_amount: '0.00000125' };
const models: Readonly<Record<string, object>> = {
  free: { type: 'free' },
  flat: { type: 'flat', amount: '20' },
  per_unit: perUnit,
  per_unit_multiplied: { ...perUnit, multiplier: '1.5' },
  per_unit_minimum: { ...perUnit, minimum: '5' },
  package: { type: 'package', package_size: '1000', package_amount: '0.15', free_units: '50000' },
  package_down: { type: 'package', package_size: '1000', package_amount: '0.15', rounding: 'down' },
  graduated: { type: 'graduated', tiers },
  graduated_blocks: { type: 'graduated', tiers: tiers.map((tier) => ({ ...tier, block_size: '1000' })) },
  volume: { type: 'volume', tiers },
  graduated_percentage: {
    type: 'graduated_percentage',
    tiers: tiers.map(({ up_to, unit_amount: rate }) => ({ up_to, rate })),
  },
  percentage: { type: 'percentage', rate: '0.013', free_units: '250' },
  percentage_per_event: { type: 'percentage', rate: '0.013', fixed_amount: '0.1', free_events: 3 },
  dynamic: { type: 'dynamic', multiplier: '1.33333' },
  cost_plus: { type: 'cost_plus', markup: '0.20' },
  cost_plus_per_event: { type: 'cost_plus', markup: '0.20', markup_amount: '0.0001' },
  per_unit_limited: {
    ...perUnit,
    included: '10000',
    discount_rate: '0.1',
    commitment: { amount: '2', overage_factor: '1.5' },
    maximum: '6',
  },
  per_unit_transformed: { ...perUnit, transform: { divide_by: '1000', rounding: 'up' } },
  per_unit_hourly: { ...perUnit, window: 'hour' },
  commitment_hourly: {
    ...perUnit,
    window: 'hour',
    commitment: { amount: '0.5', overage_factor: '2', true_up: true },
  },
  commitment_daily: { ...perUnit, window: 'day', commitment: { amount: '2', overage_factor: '1.5', true_up: true } },
  included_allowance: { ...perUnit, included: '1000000' },
  matrix: {
    type: 'matrix',
    dimensions: ['model', 'token_class'],
    cells: Array.from({ length: 500 }, (_, index) => ({
      match: { model: `model-${index}*`, token_class: 'output' },
      unit_amount: '0.00001',
    })),
    default: { unit_amount: '0.000001' },
  },
  by_prompt_size: {
    type: 'by_prompt_size',
    bands: [
      { up_to: '200000', charge_model: perUnit },
      { up_to: null, charge_model: { type: 'graduated', tiers } },
    ],
  },
  time_of_day: {
    type: 'time_of_day',
    bands: [{ from: '09:00', to: '17:00', charge_model: perUnit }],
    default: { type: 'volume', tiers },
  },
};

const dimensions = {
  provider: 'acme',
  model: 'model-77-2026-11',
  token_class: 'output',
  prompt_tokens: '250000',
  local_time: '2026-11-21T10:15',
};
const steps = Array.from({ length: LAP }, (_, index) => decimal(((index * 7919) % 9000) + 1));

/** Price choice, bucket and marginal, as ingest does for each event. */
function lap(model: object): () => void {
  const card = compileRateCard({
    currency: 'USD',
    prices: [{ meter: 'tokens', match: { provider: 'acme' }, charge_model: model }],
  });
  if (!card.ok) throw new Error(JSON.stringify(card.errors));
  const { priceFor } = card.value;
  return () => {
    let before = ZERO;
    let charged = ZERO;
    let state = FIRST_EVENT;
    for (const step of steps) {
      const bucket = priceFor('tokens', dimensions)?.bucket(dimensions);
      if (bucket === undefined) throw new Error('no price');
      if (bucket.perEvent !== undefined) {
        const next = bucket.perEvent.next(state, step);
        charged = add(charged, next.charge.amount);
        state = next.state;
        continue;
      }
      const after = add(before, step);
      charged = add(charged, bucket.rate.marginal(before, after));
      before = after;
    }
    check(charged, priceFor('tokens', dimensions)?.bucket(dimensions)?.rate.marginal(ZERO, before), state.events > 0n);
  };
}

function check(charged: Decimal, total: Decimal | undefined, isPerEvent: boolean): void {
  if (isPerEvent || total === undefined) return;
  if (compare(charged, total) !== 0) throw new Error(`marginals are off by ${toText(subtract(charged, total))}`);
}

function marginalsPerSecond(model: object): number {
  const run = lap(model);
  const warmUntil = performance.now() + MEASURED_MS / 2;
  while (performance.now() < warmUntil) run();
  const started = performance.now();
  let laps = 0;
  while (performance.now() - started < MEASURED_MS) {
    run();
    laps += 1;
  }
  return Math.round((laps * LAP * 1000) / (performance.now() - started));
}

/** A level that rises and falls, held from change to change over a month: what a change adds to the weighted sum. */
function weightedSumsPerSecond(): number {
  const month = 30n * 86_400_000_000n;
  const changes = steps.map((step, index) => ({
    at: (month * BigInt(index)) / BigInt(LAP),
    change: index % 2 === 0 ? step : negate(step),
  }));
  const started = performance.now();
  let laps = 0;
  for (; performance.now() - started < MEASURED_MS; laps++) weightedSum(changes, { from: 0n, to: month, per: month });
  return Math.round((laps * LAP * 1000) / (performance.now() - started));
}

const results = [
  ...Object.entries(models).map(([name, model]) => ({ model: name, perSecond: marginalsPerSecond(model) })),
  { model: 'weighted_sum', perSecond: weightedSumsPerSecond() },
];
if (process.argv.includes('--json')) {
  console.log(JSON.stringify({ unit: 'marginal ratings per second', node: process.version, results }));
} else {
  console.log('marginal ratings per second, price choice included, one core');
  for (const { model, perSecond } of results) {
    console.log(
      `${model.padEnd(22)}${perSecond.toLocaleString('en').padStart(12)}${`${Math.round(1e9 / perSecond)} ns`.padStart(10)}`,
    );
  }
}
