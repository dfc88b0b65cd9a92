/** A decimal as people read it: groups of three before the point, the digits as they are. Other texts stay as they are. */
export function withGroups(value: string | number | bigint): string {
  const text = String(value);
  const match = /^(-?)(\d+)(\.\d+)?$/.exec(text);
  if (match === null) return text;
  const [, sign = '', whole = '', fraction = ''] = match;
  return sign + whole.replace(/\B(?=(\d{3})+$)/g, ',') + fraction;
}

/** An amount without the zeros at its end, at least two decimals: `0.0042`, `12.50`. */
export function amount(value: string): string {
  const match = /^(-?\d+)(?:\.(\d+))?$/.exec(value);
  if (match === null) return value;
  const fraction = (match[2] ?? '').replace(/0+$/, '').padEnd(2, '0');
  return withGroups(`${match[1]}.${fraction}`);
}

export function plural(count: number | bigint, one: string, many = `${one}s`): string {
  return `${withGroups(count)} ${Number(count) === 1 ? one : many}`;
}
