const PREFIXES = ['', 'k', 'M', 'G', 'T', 'P', 'E', 'Z'];

/** `1.23 TFLOP` from a count: three significant digits with a decimal prefix. For reading, never for adding up. */
export function withPrefix(value: number | bigint, unit: string): string {
  let rest = Math.abs(Number(value));
  let step = 0;
  while (rest >= 999.5 && step < PREFIXES.length - 1) {
    rest /= 1000;
    step += 1;
  }
  const sign = Number(value) < 0 ? '-' : '';
  return `${sign}${digits(rest)} ${PREFIXES[step] ?? ''}${unit}`;
}

const SECOND_UNITS = [
  [1, 's'],
  [1e-3, 'ms'],
  [1e-6, 'µs'],
] as const;

/** `12.3 ms`: seconds in the unit that reads best. */
export function duration(seconds: number): string {
  if (seconds === 0) return '0 s';
  const [size, unit] = SECOND_UNITS.find(([least]) => seconds >= least) ?? ([1e-9, 'ns'] as const);
  return `${digits(seconds / size)} ${unit}`;
}

/** Three significant digits, without an exponent for what people see here. */
export function digits(value: number): string {
  if (value === 0) return '0';
  if (value >= 100) return value.toFixed(0);
  if (value >= 10) return value.toFixed(1);
  if (value >= 1) return value.toFixed(2);
  return String(Number(value.toPrecision(3)));
}
