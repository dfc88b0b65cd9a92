import fc from 'fast-check';
import { expect, test } from 'vitest';
import { collect } from '../collect.test-support.ts';
import { LINE_BYTES_MAX, readLines } from './read-lines.ts';

async function* pieces(bytes: Uint8Array, size: number) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

test('lines do not depend on how the bytes arrive', async () => {
  const line = fc.string({ unit: fc.constantFrom('a', 'é', '語', '😀', ' ') });
  await fc.assert(
    fc.asyncProperty(
      fc.array(line),
      fc.integer({ min: 1, max: 9 }),
      fc.constantFrom('\n', '\r\n'),
      async (lines, size, end) => {
        const found = await collect(readLines(pieces(Buffer.from(lines.join(end)), size)));
        const expected = lines
          .map((text, index) => ({ ok: true, number: index + 1, text }))
          .filter(({ text }) => text.trim() !== '');
        expect(found).toEqual(expected);
      },
    ),
  );
});

test('a line that is too long or not UTF-8 is told and does not disturb the next', async () => {
  const bytes = Buffer.concat([
    Buffer.from('first\n'),
    Buffer.alloc(LINE_BYTES_MAX + 1, 'x'),
    Buffer.from('\n'),
    Buffer.from([0xff, 0xfe, 0x0a]),
    Buffer.from('last'),
  ]);
  const found = await collect(readLines(pieces(bytes, 65_536)));
  expect(found.map((line) => [line.ok, line.number])).toEqual([
    [true, 1],
    [false, 2],
    [false, 3],
    [true, 4],
  ]);
});
