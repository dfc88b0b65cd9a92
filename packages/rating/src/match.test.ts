import { describe, expect, it } from 'vitest';
import { CHOICES_REMEMBERED_MAX } from './limits.ts';
import { accepts, compileMatch, findTies, type Match, rememberChoice } from './match.ts';

function match(spec: Readonly<Record<string, string>>): Match {
  const compiled = compileMatch(spec);
  if ('faulty' in compiled) throw new Error(compiled.faulty);
  return compiled;
}

describe('ties', () => {
  it.each<[string, Readonly<Record<string, string>>[], [number, number][]]>([
    ['other values of one key', [{ a: 'x' }, { a: 'y' }], []],
    ['other keys', [{ a: 'x' }, { b: 'y' }], [[0, 1]]],
    ['prefixes of one length', [{ a: 'xy*' }, { a: 'xz*' }], []],
    ['prefixes of two lengths', [{ a: 'x*' }, { a: 'xy*' }], []],
    ['prefixes of other keys', [{ a: 'xy*' }, { b: 'xz*' }], [[0, 1]]],
    [
      'an exact value outside the prefix',
      [
        { a: 'us', b: 'gp*' },
        { a: 'eu*', b: 'gpt' },
      ],
      [],
    ],
    [
      'an exact value inside the prefix',
      [
        { a: 'eu', b: 'gp*' },
        { a: 'eu*', b: 'gpt' },
      ],
      [[0, 1]],
    ],
    [
      'two prefixes that share',
      [
        { a: 'x*', b: 'yz*' },
        { a: 'xy*', b: 'y*' },
      ],
      [[0, 1]],
    ],
    [
      'two prefixes that part',
      [
        { a: 'x*', b: 'yz*' },
        { a: 'zy*', b: 'y*' },
      ],
      [],
    ],
    [
      'two prefixes beside an exact value',
      [
        { a: 'x*', b: 'yz*', c: '1' },
        { a: 'xy*', b: 'y*', c: '2' },
      ],
      [],
    ],
    [
      'equal ones',
      [{ a: 'x', b: '*' }, { a: 'x' }, { b: '*', a: 'x' }],
      [
        [0, 2],
        [0, 1],
      ],
    ],
    ['a longer prefix in all', [{ a: 'x*', b: 'y*' }, { a: 'xyz*' }], []],
  ])('%s', (_name, specs, expected) => {
    expect(findTies(specs.map(match))).toEqual(expected);
  });

  it('finds none in a large price list, quickly', () => {
    const specs = Array.from({ length: 10_000 }, (_, index) =>
      match({ model: `m${index % 500}`, class: `c${index}*` }),
    );
    const started = performance.now();
    expect(findTies(specs)).toEqual([]);
    expect(performance.now() - started).toBeLessThan(1000);
  });
});

it.each<[Readonly<Record<string, string>>, Readonly<Record<string, string>>, boolean]>([
  [{}, {}, true],
  [{ a: '*' }, {}, false],
  [{ a: '*' }, { a: '' }, true],
  [{ a: 'x' }, { a: 'xy' }, false],
  [{ a: 'x*' }, { a: 'xy' }, true],
  [{ a: 'x*', b: '1' }, { a: 'xy', b: '2' }, false],
])('%j accepts %j: %s', (spec, dimensions, expected) => {
  expect(accepts(match(spec), dimensions)).toBe(expected);
});

it('a match with a star inside names the dimension', () => {
  expect(compileMatch({ a: 'x*', b: 'x*y' })).toEqual({ faulty: 'b' });
});

describe('remembered choices', () => {
  it('are made once for the same values, and forgotten when there are too many', () => {
    const asked: string[] = [];
    const choose = rememberChoice(['a', 'b'], (dimensions) => {
      asked.push(`${dimensions['a']}/${dimensions['b']}`);
      return asked.length;
    });
    expect([choose({ a: 'x', b: 'y' }), choose({ a: 'x', b: 'y', c: 'z' }), choose({ a: 'x' })]).toEqual([1, 1, 2]);
    for (let index = 0; index <= CHOICES_REMEMBERED_MAX; index++) choose({ a: 'x', b: `${index}` });
    choose({ a: 'x', b: 'y' });
    expect(asked.filter((values) => values === 'x/y')).toHaveLength(2);
  });
});
