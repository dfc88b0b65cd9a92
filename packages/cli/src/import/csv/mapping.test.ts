import { expect, test } from 'vitest';
import { convertValue } from './convert-value.ts';
import { parseAssignment, type ValueType } from './mapping.ts';

test.each([
  ['time=TIMESTAMP', { kind: 'envelope', member: 'time' }, 'TIMESTAMP'],
  ['customer=Tenant', { kind: 'envelope', member: 'subject' }, 'Tenant'],
  ['tokens.input=ContextTokens', { kind: 'data', path: ['tokens', 'input'], type: 'integer' }, 'ContextTokens'],
  ['model=Model Name', { kind: 'data', path: ['model'], type: 'string' }, 'Model Name'],
  ['data.model=m', { kind: 'data', path: ['model'], type: 'string' }, 'm'],
  ['usage.a.b=x', { kind: 'data', path: ['usage', 'a', 'b'], type: 'number' }, 'x'],
  ['duration_ms=d', { kind: 'data', path: ['duration_ms'], type: 'number' }, 'd'],
  ['properties.s=Time: s:number', { kind: 'data', path: ['properties', 's'], type: 'number' }, 'Time: s'],
  ['properties.s=a=b', { kind: 'data', path: ['properties', 's'], type: 'string' }, 'a=b'],
  ['properties.s=12:30', { kind: 'data', path: ['properties', 's'], type: 'string' }, '12:30'],
])('--map %s', (text, target, column) => {
  expect(parseAssignment(text, 'column')).toEqual({ ok: true, assignment: { text, target, from: { column } } });
});

test.each([
  'time',
  '=x',
  'model=',
  'id=x',
  'source=x',
  'tokens.inptu=x',
  'tokens=x',
  'a..b=x',
  '__proto__.x=y',
  'a b=x',
])('--map %s is refused', (text) => {
  expect(parseAssignment(text, 'column').ok).toBe(false);
});

test.each<[string, ValueType, string | number | boolean | undefined]>([
  ['4808', 'integer', 4808],
  ['4808.0', 'integer', 4808],
  ['1e3', 'integer', 1000],
  ['0', 'integer', 0],
  ['9007199254740991', 'integer', 9007199254740991],
  ['9007199254740993', 'integer', undefined],
  ['1,234', 'integer', undefined],
  ['-1', 'integer', undefined],
  ['1.5', 'integer', undefined],
  ['1.5', 'number', 1.5],
  ['0.1', 'number', 0.1],
  ['-0', 'number', 0],
  // More digits than a double holds travel as text.
  ['12345678901234567890', 'number', '12345678901234567890'],
  ['0.12345678901234567890', 'number', '0.1234567890123456789'],
  ['nan', 'number', undefined],
  ['TRUE', 'boolean', true],
  ['0', 'boolean', false],
  ['maybe', 'boolean', undefined],
  [' x ', 'string', ' x '],
])('%j as %s is %j', (text, type, value) => {
  expect(convertValue(text, type)).toMatchObject(value === undefined ? { ok: false } : { ok: true, value });
});
