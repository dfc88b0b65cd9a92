import { z } from '@hono/zod-openapi';
import { expect, test } from 'vitest';
import { fieldErrors } from './field-errors.ts';

const schema = z.strictObject({
  name: z.string(),
  count: z.coerce.number().default(1),
  amount: z.union([z.string(), z.number()]),
  unit: z
    .union([
      z.enum(['tokens', 'requests']),
      z.string().regex(/^meter:/, 'meter:<key>'),
      z.string().regex(/^[A-Z]{3}$/, 'a currency'),
    ])
    .default('tokens'),
});
const good = { name: 'a', amount: '1' };

test.each<[string, object, object]>([
  ['a member that is not there', { amount: '1' }, { pointer: '/name', detail: 'is missing', remedy: 'send it' }],
  ['one that may be of several types', { name: 'a' }, { pointer: '/amount', detail: 'is missing', remedy: 'send it' }],
  [
    'another type',
    { ...good, name: 1 },
    { pointer: '/name', detail: 'Invalid input: expected string, received number' },
  ],
  [
    'a type that is none of several',
    { ...good, amount: [] },
    { pointer: '/amount', detail: 'expected string or number' },
  ],
  [
    'a text that is none of several',
    { ...good, unit: 'zork' },
    { pointer: '/unit', detail: 'Invalid option: expected one of "tokens"|"requests"; meter:<key>; a currency' },
  ],
  [
    'an unknown member',
    { ...good, nmae: 1 },
    { pointer: '/nmae', detail: 'unknown member "nmae"', remedy: 'remove it or correct its name' },
  ],
  ['a number that is none', { ...good, count: 'x' }, { pointer: '/count', detail: 'expected a number' }],
])('of %s the error names the member and what it wants', (_name, body, expected) => {
  const read = schema.safeParse(body);
  expect(read.error && fieldErrors(read.error, 'body')).toEqual([expected]);
});
