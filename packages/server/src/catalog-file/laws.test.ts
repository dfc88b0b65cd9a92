import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Sandbox, startTestApp, type TestApp, openSandbox } from '../billing/sandbox.test-support.ts';
import { after, arbitraryCatalog, arbitraryOverrides } from './arbitrary-catalog.test-support.ts';
import { differenceOf, isSame } from './difference.ts';
import { environmentRows } from './environment-rows.test-support.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(async () => {
  await app.stop();
});

const NOW = '2026-11-21T10:00:00Z';
const RUNS = { numRuns: 15 };

type File = Readonly<Record<string, unknown>>;
const apply = (box: Sandbox, file: File) => box.call('POST', '/v1/catalog/apply', file);
const dryRun = (box: Sandbox, file: File) => box.call('POST', '/v1/catalog/apply?dry_run=true', file);
const exported = (box: Sandbox): Promise<File> => box.call('GET', '/v1/catalog');
const rows = (box: Sandbox) => environmentRows(app, box.key);

const NOTHING = { created: 0, changed: 0, differences: [] };
const file = fc
  .tuple(arbitraryCatalog(NOW), arbitraryOverrides(NOW))
  .map(([catalog, customer_overrides]): File => ({ ...catalog, customer_overrides }));

test('what is applied is so: again it changes nothing, nor does the export, nor either when its dates have passed', async () => {
  await fc.assert(
    fc.asyncProperty(file, arbitraryCatalog(NOW), fc.integer({ min: 0, max: 10 }), async (first, second, days) => {
      const box = await openSandbox(app, NOW);
      await apply(box, first);
      expect(await apply(box, first)).toMatchObject({ ...NOTHING, not_in_file: { count: 0 } });
      await box.moveTo(after(NOW, days));
      expect(await apply(box, first)).toMatchObject(NOTHING);
      await apply(box, undatedBefore(second, after(NOW, days)));
      const before = await rows(box);
      const out = await exported(box);
      expect(await apply(box, out)).toMatchObject({ ...NOTHING, not_in_file: { count: 0 } });
      expect(await rows(box)).toEqual(before);
    }),
    RUNS,
  );
});

test('an export makes another environment the same', async () => {
  await fc.assert(
    fc.asyncProperty(file, arbitraryCatalog(NOW), fc.integer({ min: 0, max: 3 }), async (first, second, days) => {
      const [one, other] = [await openSandbox(app, NOW), await openSandbox(app, NOW)];
      await apply(one, first);
      await apply(one, second);
      for (const box of [one, other]) await box.moveTo(after(NOW, days));
      const out = await exported(one);
      await apply(other, out);
      expect(await exported(other)).toEqual(out);
    }),
    RUNS,
  );
});

test('a dry run keeps nothing, and what it accepts is what is applied', async () => {
  await fc.assert(
    fc.asyncProperty(file, arbitraryCatalog(NOW), async (first, second) => {
      const box = await openSandbox(app, NOW);
      await apply(box, first);
      const before = await rows(box);
      const { dry_run: _dry, revision: _before, ...shown } = await dryRun(box, second);
      expect(await rows(box)).toEqual(before);
      const path = `/v1/catalog/apply?difference_id=${shown.difference_id}`;
      const { dry_run: _real, revision: _after, ...done } = await box.call('POST', path, second);
      expect(done).toEqual(shown);
    }),
    RUNS,
  );
});

/** Without the versions that would begin before now: a file written later. */
function undatedBefore(catalog: Readonly<Record<string, Readonly<Record<string, unknown>>>>, now: string): File {
  const isToCome = (one: unknown) =>
    typeof one !== 'object' || one === null || !('effective_from' in one) || String(one.effective_from) > now;
  return Object.fromEntries(
    Object.entries(catalog).map(([kind, entries]) => [
      kind,
      Object.fromEntries(
        Object.entries(entries).map(([key, entry]) => [key, Array.isArray(entry) ? entry.filter(isToCome) : entry]),
      ),
    ]),
  );
}

const BAD: readonly (readonly [kind: string, entry: unknown])[] = [
  ['meters', { event_types: ['other'], aggregation: 'count' }],
  ['features', { meter: 'no_such_meter' }],
  ['rate_cards', { currency: 'USD', prices: [{ meter: 'no_such_meter', charge_model: { type: 'free' } }] }],
  ['plans', { currency: 'EUR', rate_card: 'card_0' }],
  ['add_ons', { currency: 'USD', entitlements: [{ type: 'boolean', feature: 'no_such_feature' }] }],
  ['customer_overrides', { bad: { rate_card: 'no_such_card' } }],
];

test('one bad entry anywhere, and nothing is applied', async () => {
  await fc.assert(
    fc.asyncProperty(file, fc.constantFrom(...BAD), async (good, [kind, entry]) => {
      const box = await openSandbox(app, NOW);
      await apply(box, { meters: { bad: { event_types: ['a'], aggregation: 'count' } } });
      const before = await rows(box);
      const section = good[kind];
      const bad = { ...good, [kind]: { ...(typeof section === 'object' ? section : {}), bad: entry } };
      for (const query of ['', '?dry_run=true']) {
        const problem = await box.call('POST', `/v1/catalog/apply${query}`, bad, 400);
        expect(problem.code).toBe('invalid_catalog');
        expect(problem.errors.length).toBeGreaterThan(0);
        for (const error of problem.errors) expect(error.pointer).toMatch(new RegExp(`^/${kind}/bad`));
      }
      expect(await rows(box)).toEqual(before);
    }),
    RUNS,
  );
});

test('there is a difference exactly where two specs say something else', () => {
  const spec = fc.jsonValue({ maxDepth: 4 });
  fc.assert(
    fc.property(spec, spec, (a, b) => {
      expect(differenceOf(a, b).length === 0).toBe(isSame(a, b));
      expect(differenceOf(a, structuredClone(a))).toEqual([]);
    }),
  );
});

test.each<[what: string, old: unknown, wanted: unknown, changes: unknown[]]>([
  ['a number and its text', { amount: 20 }, { amount: '20.00' }, []],
  ['two texts', { match: '1.0' }, { match: '1' }, [{ pointer: '/match', old: '1.0', new: '1' }]],
  [
    'a member more and one less',
    { a: 1 },
    { b: 2 },
    [
      { pointer: '/a', old: 1 },
      { pointer: '/b', new: 2 },
    ],
  ],
  ['an element inserted', [{ key: 'b' }], [{ key: 'a' }, { key: 'b' }], [{ pointer: '/0', new: { key: 'a' } }]],
  ['an element taken out', [{ key: 'a' }, { key: 'b' }], [{ key: 'b' }], [{ pointer: '/0', old: { key: 'a' } }]],
  [
    'an element changed',
    [{ key: 'a', x: 1 }, { key: 'b' }],
    [{ key: 'a', x: 2 }, { key: 'b' }],
    [{ pointer: '/0/x', old: 1, new: 2 }],
  ],
  ['a name that objects have', {}, { constructor: 'x' }, [{ pointer: '/constructor', new: 'x' }]],
  [
    'two that change places',
    [{ key: 'a' }, { key: 'b' }],
    [{ key: 'b' }, { key: 'a' }],
    [
      { pointer: '/1', new: { key: 'a' } },
      { pointer: '/0', old: { key: 'a' } },
    ],
  ],
  ['a name to escape', { 'a/b~c': 1 }, { 'a/b~c': 2 }, [{ pointer: '/a~1b~0c', old: 1, new: 2 }]],
])('%s', (_what, old, wanted, changes) => {
  expect(differenceOf(old, wanted)).toEqual(changes);
});
