import { scaled, toText } from '@ergon/exact';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ByteWriter } from './byte-writer.ts';

test('a decimal is written as its plain text, at any size and scale', () => {
  const coefficient = fc.oneof(
    fc.bigInt({ min: -(2n ** 53n), max: 2n ** 53n }),
    fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }),
    fc
      .tuple(fc.integer({ min: 0, max: 999 }), fc.nat(18))
      .map(([digits, zeros]) => BigInt(digits) * 10n ** BigInt(zeros)),
  );
  fc.assert(
    fc.property(coefficient, fc.nat(24), (value, scale) => {
      // A small chunk, so that what is written crosses its end.
      const writer = new ByteWriter(8);
      writer.scaled(value, scale);
      expect(writer.take().toString()).toBe(toText(scaled(value, scale)));
    }),
  );
});
