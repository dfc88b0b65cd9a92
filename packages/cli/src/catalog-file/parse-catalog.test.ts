import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { mergeCatalogs, placeText } from './merge-catalogs.ts';
import { parseCatalog } from './parse-catalog.ts';

const only = (text: string): unknown => {
  const { values, faults } = parseCatalog('f.yaml', text);
  expect(faults).toEqual([]);
  expect(values).toHaveLength(1);
  return values[0];
};
const faults = (text: string): string[] =>
  parseCatalog('f.yaml', text).faults.map(({ place, message }) => `${placeText(place)} ${message}`);

test.each<[yaml: string, value: unknown]>([
  ['0.000000150', '0.000000150'],
  ['0.10', '0.10'],
  ['-0.5', '-0.5'],
  ['+0.5', '0.5'],
  ['1e-7', '1e-7'],
  ['.5', '.5'],
  ['123456789012345678901.123456789012345678', '123456789012345678901.123456789012345678'],
  ['12345678901234567890', '12345678901234567890'],
  ['-12345678901234567890', '-12345678901234567890'],
  ['9007199254740991', 9007199254740991],
  ['9007199254740992', '9007199254740992'],
  ['20', 20],
  ['-3', -3],
  ['0x1F', 31],
  ['"0.10"', '0.10'],
  ['2026-12-01T00:00:00Z', '2026-12-01T00:00:00Z'],
  ['1_000', '1_000'],
  ['yes', 'yes'],
  ['true', true],
  ['null', null],
  ['~', null],
  ['gpt-5*', 'gpt-5*'],
])('the number or text %s keeps its digits', (yaml, value) => {
  expect(only(`a: ${yaml}`)).toEqual({ a: value });
});

test('JSON is read as it is, and its numbers by their digits', () => {
  const text = '{"meters":{"a":{"x":0.000000150,"y":[1,12345678901234567890],"z":"\\u00e9\\ud83d\\ude00\\/"}}}';
  expect(only(text)).toEqual({ meters: { a: { x: '0.000000150', y: [1, '12345678901234567890'], z: 'é😀/' } } });
});

test('anchors hold to the next of their name, and names may be numbers', () => {
  expect(only('a: &x {k: 1}\nb: *x\nc: &x {k: 2}\nd: *x\n12: &l [*x, *x]\ne: *l')).toEqual({
    a: { k: 1 },
    b: { k: 1 },
    c: { k: 2 },
    d: { k: 2 },
    12: [{ k: 2 }, { k: 2 }],
    e: [{ k: 2 }, { k: 2 }],
  });
});

test('an empty file says nothing, and the address of the schema is the editor’s', () => {
  expect(parseCatalog('f.yaml', '# nothing\n')).toEqual({ values: [], places: [], faults: [] });
  expect(only('$schema: https://ergon.example/catalog.schema.json\nplans: {}')).toEqual({ plans: {} });
});

test.each<[what: string, text: string, fault: RegExp]>([
  ['no YAML', 'a: [1,\nb: 2', /^f\.yaml:\d+:\d+ ./],
  ['a name twice', 'plans:\n  a: {}\n  a: {}', /^f\.yaml:3:3 Map keys must be unique/],
  ['a list', '- a', /^f\.yaml:1:1 a catalog is a mapping/],
  ['a text', 'plans', /^f\.yaml:1:1 a catalog is a mapping/],
  ['no number', 'a:\n  b: .inf', /^f\.yaml:2:6 \.inf is no amount/],
  ['a merge key', 'a: &x {k: 1}\nb:\n  <<: *x', /^f\.yaml:3:3 merge keys are not read/],
  ['an unknown anchor', 'a: *x', /^f\.yaml:1:4 /],
  ['an anchor that is not there yet', 'a: *x\nb: &x 1', /^f\.yaml:1:4 /],
  ['a list as a name', '? [a]\n: 1', /^f\.yaml:1:3 a name is a text/],
  ['a cycle', 'a: &x [*x]', /nested deeper than 32 levels/],
  ['too deep', `a: ${'['.repeat(100)}${']'.repeat(100)}`, /nested deeper than 32 levels/],
  ['far too deep', `a: ${'['.repeat(200_000)}`, /./],
])('%s is a fault with its place', (_what, text, fault) => {
  expect(faults(text)[0]).toMatch(fault);
});

test('aliases of aliases end at a limit, not in memory', () => {
  const lines = ['a0: &a0 [1,1,1,1,1,1,1,1,1,1]'];
  for (let level = 1; level < 12; level += 1) {
    lines.push(`a${level}: &a${level} [${Array.from({ length: 10 }, () => `*a${level - 1}`).join(',')}]`);
  }
  expect(faults(lines.join('\n'))[0]).toContain('more than 500000 values, every alias written out');
});

describe('files together', () => {
  test('add up, kind by kind and customer by customer', () => {
    const first = parseCatalog('a.yaml', 'plans: {a: {x: 1}}\ncustomer_overrides: {acme: {k: {y: 1}}}');
    const second = parseCatalog('b.yaml', 'plans: {b: {}}\n---\ncustomer_overrides: {acme: {l: {}}, beta: {k: {}}}');
    expect(mergeCatalogs([first, second])).toMatchObject({
      faults: [],
      value: { plans: { a: { x: 1 }, b: {} }, customer_overrides: { acme: { k: { y: 1 }, l: {} }, beta: { k: {} } } },
    });
  });

  test('hold an entry once, and say where each is', () => {
    const first = parseCatalog('a.yaml', 'plans:\n  a: {}');
    const second = parseCatalog('b.yaml', 'plans:\n  b: {}\n  a: {}');
    const merged = mergeCatalogs([first, second]);
    expect(merged.faults.map(({ place, message }) => `${placeText(place)} ${message}`)).toEqual([
      'b.yaml:3:3 plans/a is there twice; also at a.yaml:2:3',
    ]);
  });

  test('a pointer finds its line, or that of the nearest thing around it', () => {
    const { placeOf } = mergeCatalogs([parseCatalog('a.yaml', 'rate_cards:\n  a/b:\n    prices:\n      - meter: x\n')]);
    expect(placeText(placeOf('/rate_cards/a~1b/prices/0/meter') ?? fail())).toBe('a.yaml:4:9');
    expect(placeText(placeOf('/rate_cards/a~1b/prices/0/charge_model/type') ?? fail())).toBe('a.yaml:4:9');
    expect(placeText(placeOf('/rate_cards/a~1b/currency') ?? fail())).toBe('a.yaml:2:3');
    expect(placeOf('')).toBeUndefined();
  });
});

function fail(): never {
  throw new Error('no place');
}

test('whatever JSON holds is read back from its YAML', () => {
  const text = fc.oneof(
    fc.string(),
    fc.constantFrom('0.10', 'yes', '<<', '~', '- a', '&x', '1e5', '0x10', 'null', ': #'),
  );
  const json = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      text,
      fc.maxSafeInteger(),
      fc.boolean(),
      fc.constant(null),
      tie('list'),
      tie('map'),
    ),
    list: fc.array(tie('value'), { maxLength: 4 }),
    map: fc.dictionary(
      text.filter((name) => name !== '__proto__' && name !== '<<' && name !== '$schema'),
      tie('value'),
      { maxKeys: 4 },
    ),
  })).map;
  fc.assert(
    fc.property(json, (value) => {
      const plain: unknown = JSON.parse(JSON.stringify(value));
      expect(only(stringify({ a: plain }, { lineWidth: 0 }))).toEqual({ a: plain });
      expect(only(JSON.stringify({ a: plain }))).toEqual({ a: plain });
    }),
    { numRuns: 200 },
  );
});
