import type { EventRating } from '../record/types.ts';

/** What the lines of a rating charge for, as text to compare; with a minus, what taking them back looks like. */
export function negated({ lines }: EventRating, sign: '' | '-'): string {
  const charged = lines.filter((line) => line.absorbed === undefined);
  return JSON.stringify(charged.map((line) => [line.meter, line.bucket, signedText(line.quantity, sign)]));
}

/** The decimal text with the sign turned, where that is asked for; every zero is one zero. */
export function signedText(text: string, sign: '' | '-'): string {
  if (/^-?[0.]+$/.test(text)) return '0';
  return text.startsWith('-') ? `${sign === '-' ? '' : '-'}${text.slice(1)}` : sign + text;
}
