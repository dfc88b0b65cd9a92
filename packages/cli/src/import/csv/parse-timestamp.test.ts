import { expect, test } from 'vitest';
import { compilePattern, parseTimestamp, parseZone, type TimeFormat } from './parse-timestamp.ts';

const utc = (format: TimeFormat = 'auto') => ({ format, zoneOffsetMinutes: 0 });

test.each<[string, TimeFormat, string, boolean]>([
  // The Azure traces: seven digits, no zone. The seventh digit is lost, and said to be, only where it is not zero.
  ['2023-11-16 18:17:03.9799600', 'auto', '2023-11-16T18:17:03.97996Z', false],
  ['2023-11-16 18:17:03.9799605', 'auto', '2023-11-16T18:17:03.97996Z', true],
  ['2023-11-16 18:17:03.9999999', 'auto', '2023-11-16T18:17:03.999999Z', true],
  ['2023-11-16T18:17:03Z', 'auto', '2023-11-16T18:17:03Z', false],
  ['2023-11-16T18:17:03+02:00', 'auto', '2023-11-16T16:17:03Z', false],
  ['2023-11-16 18:17:03 -0530', 'auto', '2023-11-16T23:47:03Z', false],
  ['2023-11-16 18:17:03,5 UTC', 'auto', '2023-11-16T18:17:03.5Z', false],
  ['2024/2/29 00:00', 'auto', '2024-02-29T00:00:00Z', false],
  ['2024-12-31', 'auto', '2024-12-31T00:00:00Z', false],
  ['1700158623', 'auto', '2023-11-16T18:17:03Z', false],
  ['1700158623.9799600', 'auto', '2023-11-16T18:17:03.97996Z', false],
  ['1700158623979', 'auto', '2023-11-16T18:17:03.979Z', false],
  ['1700158623979960', 'auto', '2023-11-16T18:17:03.97996Z', false],
  ['1700158623979960123', 'auto', '2023-11-16T18:17:03.97996Z', true],
  ['5', 'unix', '1970-01-01T00:00:05Z', false],
  ['5', 'unix-ms', '1970-01-01T00:00:00.005Z', false],
  ['16.11.2023 18:17:03', { pattern: 'DD.MM.YYYY HH:mm:ss' }, '2023-11-16T18:17:03Z', false],
  ['11/16/2023 18:17:03.25 +01:00', { pattern: 'MM/DD/YYYY HH:mm:ss.S Z' }, '2023-11-16T17:17:03.25Z', false],
])('%s as %j is %s', (text, format, time, isCut) => {
  expect(parseTimestamp(text, utc(format))).toEqual({ ok: true, time, isCut });
});

test.each<[string, TimeFormat]>([
  ['', 'auto'],
  ['yesterday', 'auto'],
  ['11/16/2023', 'auto'],
  ['2023-02-29', 'auto'],
  ['2023-13-01', 'auto'],
  ['2023-01-01 24:00:00', 'auto'],
  ['2023-01-01 10:61', 'auto'],
  ['2023-01-01 10:00:00 +15:00', 'auto'],
  ['123', 'auto'],
  ['2023-01-01', 'unix'],
  ['32.01.2023 10:00:00', { pattern: 'DD.MM.YYYY HH:mm:ss' }],
  ['2023-01-01', { pattern: 'DD.MM.YYYY' }],
])('%j as %j is refused', (text, format) => {
  expect(parseTimestamp(text, utc(format)).ok).toBe(false);
});

test('a time without a zone is taken at the offset given, one with a zone keeps its own', () => {
  const options = { format: 'auto', zoneOffsetMinutes: 120 } as const;
  expect(parseTimestamp('2023-11-16 18:17:03', options)).toMatchObject({ time: '2023-11-16T16:17:03Z' });
  expect(parseTimestamp('2023-11-16 18:17:03Z', options)).toMatchObject({ time: '2023-11-16T18:17:03Z' });
});

test.each([
  ['UTC', 0],
  ['+02:00', 120],
  ['-0530', -330],
  ['+14', 840],
  ['+15', undefined],
  ['Europe/Athens', undefined],
])('the zone %s is %s minutes', (text, minutes) => {
  expect(parseZone(text)).toBe(minutes);
});

test('a pattern needs year, month and day once each', () => {
  expect(compilePattern('DD.MM.YYYY HH:mm:ss')).toBeInstanceOf(RegExp);
  expect(compilePattern('DD.MM HH:mm')).toBeUndefined();
  expect(compilePattern('YYYY-MM-DD MM')).toBeUndefined();
});
