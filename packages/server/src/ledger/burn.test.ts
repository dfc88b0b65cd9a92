import { currency, decimal, toText } from '@ergon/exact';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { burn, burnOrder, ledgerDecimal, ledgerUnits, type OpenGrant } from './burn.ts';

const USD = currency('USD');
const NOW = 1_000_000;

type Given = Partial<Omit<OpenGrant, 'available'>> & { readonly left: string };

function grants(given: readonly Given[]): OpenGrant[] {
  return given
    .map(({ left, ...rest }, index) => ({
      accountId: index + 1,
      currency: USD,
      available: ledgerUnits(decimal(left)),
      priority: null,
      kind: 'paid' as const,
      effectiveAt: 0,
      expiresAt: null,
      eligibility: {},
      ...rest,
    }))
    .sort(burnOrder);
}

/** Burns amounts one after another. @returns what each grant holds, in the order given, and what is owed. */
function after(given: readonly Given[], uses: readonly (string | { amount: string; meter: string })[]) {
  const open = grants(given);
  let owed = 0n;
  for (const use of uses) {
    const { amount, meter } = typeof use === 'string' ? { amount: use, meter: 'tokens' } : use;
    const purpose = { currency: USD, meter, feature: undefined, model: undefined };
    for (const share of burn(open, ledgerUnits(decimal(amount)), purpose, NOW)) {
      if (share.accountId === null) owed += share.units;
    }
  }
  const left = open.toSorted((a, b) => a.accountId - b.accountId).map((one) => toText(ledgerDecimal(one.available)));
  return { left, owed: toText(ledgerDecimal(owed)) };
}

/** The wallet cases of reference/charge-model-cases.md; G1 and G9 are in wallet-cases.test.ts. */
test.each<
  [string, readonly Given[], readonly (string | { amount: string; meter: string })[], readonly string[], string]
>([
  [
    'G3 Flexprice: priority, then expiry; 110 of 200 left',
    [
      { left: '40', priority: 1 },
      { left: '60', priority: 1, expiresAt: 9e15 },
      { left: '20', priority: 2 },
      { left: '30', priority: 3 },
      { left: '50' },
    ],
    ['90'],
    ['10', '0', '20', '30', '50'],
    '0',
  ],
  ['G5 OpenMeter: a grant of 100, usage 50', [{ left: '100' }], ['50'], ['50'], '0'],
  ['G5 OpenMeter: no grant, usage 50 is owed', [], ['50'], [], '50'],
  [
    'G7 OpenMeter: of two, the earlier to expire first',
    [
      { left: '100', expiresAt: 9e15 },
      { left: '100', expiresAt: 8e15 },
    ],
    ['120'],
    ['80', '0'],
    '0',
  ],
  [
    'G11 OpenMeter: collect 5',
    [{ left: '10', expiresAt: 10e15 }, { left: '15', expiresAt: 15e15 }, { left: '20' }],
    ['5'],
    ['5', '15', '20'],
    '0',
  ],
  [
    'G11 OpenMeter: collect 10 with A at 5',
    [{ left: '5', expiresAt: 10e15 }, { left: '15', expiresAt: 15e15 }, { left: '20' }],
    ['10'],
    ['0', '10', '20'],
    '0',
  ],
  ['G13 Lago: 100, use 40', [{ left: '100' }], ['40'], ['60'], '0'],
  ['G13 Lago: 30 then 50, use 60', [{ left: '30' }, { left: '50', effectiveAt: 1 }], ['60'], ['0', '20'], '0'],
  [
    // Lago lets the third wallet stand at -10; here no grant goes below zero and the 10 are owed.
    'G15 Lago: targeted wallets, 0 / 5 / 0 and 10 owed',
    [
      { left: '10', priority: 1, eligibility: { meters: ['m1'] } },
      { left: '10', priority: 1, eligibility: { meters: ['m2'] } },
      { left: '10', priority: 2 },
    ],
    [
      { amount: '5', meter: 'm2' },
      { amount: '30', meter: 'm1' },
    ],
    ['0', '5', '0'],
    '10',
  ],
  [
    'G17 Autumn: monthly 500 and lifetime 200, use 400',
    [{ left: '500', expiresAt: 9e15 }, { left: '200' }],
    ['400'],
    ['100', '200'],
    '0',
  ],
  ['G17 Autumn: then 200', [{ left: '500', expiresAt: 9e15 }, { left: '200' }], ['400', '200'], ['0', '100'], '0'],
  ['promotional before paid', [{ left: '1' }, { left: '1', kind: 'promotional' }], ['1'], ['1', '0'], '0'],
  [
    'not yet effective, and expired at the instant itself',
    [
      { left: '1', effectiveAt: NOW + 1 },
      { left: '1', expiresAt: NOW },
    ],
    ['1'],
    ['1', '1'],
    '1',
  ],
])('%s', (_, given, uses, left, owed) => {
  expect(after(given, uses)).toEqual({ left, owed });
});

const anyGrant = fc.record({
  left: fc.integer({ min: 0, max: 100 }).map(String),
  priority: fc.option(fc.integer({ min: 0, max: 2 })),
  kind: fc.constantFrom('paid' as const, 'promotional' as const),
  effectiveAt: fc.constantFrom(0, 1, NOW + 1),
  expiresAt: fc.constantFrom(null, NOW, NOW + 1, NOW + 2),
});

test('shares sum to the amount, no grant goes below zero, and one sum burns as its parts', () => {
  fc.assert(
    fc.property(
      fc.array(anyGrant, { maxLength: 8 }),
      fc.array(fc.integer({ min: 0, max: 60 }), { maxLength: 8 }),
      (given, uses) => {
        const whole = uses.reduce((sum, one) => sum + one, 0);
        const inParts = after(given, uses.map(String));
        expect(after(given, [String(whole)])).toEqual(inParts);
        const before = given.reduce((sum, one) => sum + Number(one.left), 0);
        const left = inParts.left.map(Number);
        expect(Math.min(0, ...left)).toBe(0);
        expect(before - left.reduce((sum, one) => sum + one, 0) + Number(inParts.owed)).toBe(whole);
      },
    ),
  );
});

test('the order is total: any shuffle burns the same grants', () => {
  fc.assert(
    fc.property(fc.array(anyGrant, { minLength: 2, maxLength: 8 }), fc.infiniteStream(fc.nat()), (given, random) => {
      const open = grants(given);
      const shuffled = open
        .map((grant) => ({ grant, at: random.next().value ?? 0 }))
        .sort((a, b) => a.at - b.at)
        .map(({ grant }) => grant)
        .sort(burnOrder);
      expect(shuffled.map((one) => one.accountId)).toEqual(open.map((one) => one.accountId));
    }),
  );
});
