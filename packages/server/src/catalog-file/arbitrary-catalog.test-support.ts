import fc from 'fast-check';

const key = (name: string) => fc.integer({ min: 0, max: 3 }).map((number) => `${name}_${number}`);
const cents = fc.integer({ min: 1, max: 99_999 }).map((units) => (units / 1000).toFixed(3));
/** Amounts as text or as a number: both are said. */
const amount = fc.oneof(cents, fc.integer({ min: 1, max: 1_000_000 }));
const some = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });

/** A meter never changes, so what it is follows from its name. */
const METERS: Readonly<Record<string, object>> = {
  meter_0: { event_types: ['a'], aggregation: 'count' },
  meter_1: { event_types: ['a', 'b'], aggregation: 'sum', value: 'data.x', unit: 'second', name: 'Seconds' },
  meter_2: { event_types: ['c'], aggregation: 'max', value: 'data.y', filter: { 'data.z': ['1', '2'] } },
  meter_3: { event_types: ['c'], aggregation: 'unique', value: 'subject', group_by: ['data.region'] },
};
const meterKeys = ['requests', 'input_tokens', 'output_tokens', ...Object.keys(METERS)];

const tiers = fc.tuple(amount, amount).map(([first, second]) => [
  { up_to: 10, unit_amount: first },
  { up_to: null, unit_amount: second },
]);
const model = fc.oneof(
  amount.map((unit_amount) => ({ type: 'per_unit', unit_amount })),
  tiers.map((all) => ({ type: 'graduated', tiers: all })),
  fc.record({ type: fc.constant('package'), package_size: fc.constant(1000), package_amount: amount }),
  fc.constant({ type: 'free' }),
);
const price = fc.record(
  {
    key: some(
      fc.string({ unit: fc.constantFrom('p', 'q', '_', '1'), minLength: 1, maxLength: 4 }).map((text) => `k${text}`),
    ),
    meter: fc.constantFrom(...meterKeys),
    match: some(fc.constantFrom({ model: 'gpt-5*' }, { model: 'o3', region: 'eu-west-1' }, { tier: '1.0' })),
    charge_model: model,
    failed_calls: some(fc.constantFrom('bill', 'absorb')),
  },
  { requiredKeys: ['meter', 'charge_model'] },
);
const prices = fc.uniqueArray(price, {
  maxLength: 5,
  comparator: (a, b) =>
    (a.meter === b.meter && JSON.stringify(a.match) === JSON.stringify(b.match)) || (a.key ?? a) === (b.key ?? b),
});
const card = fc.record({ currency: fc.constant('USD'), prices });

/** What holds, and what is to come: days after `now`, each another one. */
const dated = <T extends object>(spec: fc.Arbitrary<T>, now: string) =>
  fc.oneof(
    spec,
    fc
      .tuple(
        spec,
        fc.uniqueArray(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 3 }),
        fc.array(spec, { minLength: 3, maxLength: 3 }),
      )
      .map(([first, days, more]) => [
        first,
        ...days.map((day, index) => ({ effective_from: after(now, day), ...more[index] })),
      ]),
  );

export function after(now: string, days: number): string {
  return new Date(Date.parse(now) + days * 86_400_000).toISOString().replace('.000Z', 'Z');
}

const feature = fc.record(
  {
    name: some(fc.constantFrom('Chat', 'Größe')),
    meter: fc.constantFrom('requests', 'meter_0'),
    only_tagged: some(fc.boolean()),
  },
  { requiredKeys: [] },
);
const fees = fc.uniqueArray(
  fc.record(
    { key: key('fee'), amount, charge: some(fc.constantFrom('once', 'every_period')), prorate: some(fc.boolean()) },
    { requiredKeys: ['key', 'amount'] },
  ),
  { maxLength: 3, selector: (fee) => fee.key },
);
const entitlements = fc.uniqueArray(fc.record({ type: fc.constant('boolean'), feature: key('feature') }), {
  maxLength: 2,
  selector: (one) => one.feature,
});
const parts = {
  name: some(fc.constantFrom('Pro', 'Max')),
  currency: fc.constant('USD'),
  fees: some(fees),
  entitlements,
};
const plan = fc.record(
  {
    ...parts,
    rate_card: key('card'),
    cadence: some(fc.constantFrom({ unit: 'month' }, { unit: 'week', count: 2 })),
    trial: some(fc.constant({ days: 14 })),
  },
  { requiredKeys: ['currency', 'entitlements'] },
);
const coupon = fc.record(
  {
    percent: fc.integer({ min: 1, max: 100 }),
    duration: some(fc.constantFrom({ type: 'once' }, { type: 'repeating', periods: 3 })),
  },
  { requiredKeys: ['percent'] },
);
const providerPrice = fc.record({
  provider: fc.constantFrom('openai', 'azure'),
  model: fc.constantFrom('gpt-5*', 'gpt-5-mini'),
  per_million_tokens: fc.record({ input: cents, output: cents }),
  source: fc.constant('contract'),
});

const entries = <T>(name: string, entry: fc.Arbitrary<T>) => fc.dictionary(key(name), entry, { maxKeys: 4 });
const allOf = <T>(name: string, entry: fc.Arbitrary<T>) =>
  fc
    .tuple(entry, entry, entry, entry)
    .map((all) => Object.fromEntries(all.map((one, index) => [`${name}_${index}`, one])));

/** Files that hold together: every feature, card and meter that something names is in them. Without overrides. */
export function arbitraryCatalog(now: string): fc.Arbitrary<Record<string, Record<string, unknown>>> {
  return fc.record({
    meters: fc.constant(METERS),
    features: allOf('feature', feature),
    rate_cards: allOf('card', dated(card, now)),
    plans: entries('plan', plan),
    add_ons: entries('add_on', fc.record(parts, { requiredKeys: ['currency', 'entitlements'] })),
    coupons: entries('coupon', coupon),
    provider_price_overrides: entries('price', dated(providerPrice, now)),
    model_aliases: fc.dictionary(fc.constantFrom('a b', 'ä/ö', 'x~y'), fc.constantFrom('gpt-5', 'o3'), { maxKeys: 3 }),
  });
}

/** Overrides of one customer follow each other; one in force cannot be changed, so they are in one file of a run only. */
export function arbitraryOverrides(now: string): fc.Arbitrary<Record<string, unknown>> {
  const span = fc.record(
    {
      rate_card: key('card'),
      prices: some(
        amount.map((unit_amount) => [
          { key: 'own', meter: 'requests', charge_model: { type: 'per_unit', unit_amount } },
        ]),
      ),
    },
    { requiredKeys: ['rate_card'] },
  );
  return fc.dictionary(
    fc.constantFrom('acme', 'a/b c'),
    fc.tuple(span, span).map(([first, second]) => ({
      now: { ...first, effective_to: after(now, 4) },
      later: { ...second, effective_from: after(now, 4) },
    })),
    { maxKeys: 2 },
  );
}
