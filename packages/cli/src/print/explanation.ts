import { decimal, parseDecimal, sum, toText } from '@ergon/exact';
import type { EventExplanation, RatedLine } from '../client/index.ts';
import type { CliIo } from '../io.ts';
import { amount, withGroups } from './number.ts';
import { createStyle } from './style.ts';
import { printPairs, printTable } from './table.ts';

/** Prints one event as a person reads a bill: what happened, how much it was, what it costs and who paid. */
export function printExplanation(io: CliIo, found: EventExplanation): void {
  const style = createStyle(io);
  const section = (title: string): void => io.writeOut(`\n${style.bold(title)}\n`);
  const { event } = found;
  printPairs(io, [
    ['event', `${text(event['type'])} ${text(event['id'])}`],
    ['source', text(event['source'])],
    ['customer', found.customer ?? 'none: it names no customer, so it has no price'],
    ['happened', text(event['time'] ?? found.received_at)],
    ['received', found.received_at],
    ...attribution(found),
  ]);
  section('Quantities');
  printTable(
    io,
    [{ name: '  meter' }, { name: 'quantity', align: 'right' }, { name: 'quality' }],
    found.quantities.map((one) => [`  ${one.meter}`, withGroups(one.quantity), one.quality ?? '']),
  );
  section('Charge');
  if (found.lines.length === 0) io.writeOut('  nothing was charged\n');
  for (const line of found.lines) io.writeOut(`${lineText(line)}\n`);
  if (found.lines.length > 0) io.writeOut(`  ${style.bold(`total ${totals(found.lines)}`)}\n`);
  for (const { kind, rerate, posted_at, lines } of found.adjustments ?? []) {
    const by = rerate === null ? 'by a void' : `by re-rating ${rerate}`;
    section(`${kind === 'rating' ? 'Rated anew' : 'Taken back'} ${by}, ${posted_at}`);
    for (const line of lines) io.writeOut(`${lineText(line)}\n`);
    io.writeOut(lines.length === 0 ? '  nothing was charged\n' : `  ${style.bold(`total ${totals(lines)}`)}\n`);
  }
  const unrated = found.unrated ?? [];
  if (unrated.length > 0) {
    section('Without a price');
    for (const one of unrated) io.writeOut(`  ${one.meter} ${withGroups(one.quantity)}: ${one.reason}\n`);
  }
  if (found.provider_cost) {
    const { amount: cost, currency, source } = found.provider_cost;
    section('Provider cost');
    io.writeOut(`  ${amount(cost)} ${currency}${source === undefined ? '' : `  ${style.dim(source)}`}\n`);
  }
  const flags = found.flags ?? [];
  if (flags.length > 0) {
    section('Flags');
    for (const flag of flags)
      io.writeOut(`  ${typeof flag === 'string' ? flag : `${flag.code}: ${flag.detail ?? ''}`}\n`);
  }
  if (found.voided_by) io.writeOut(`\n${style.red('Voided')} ${voidText(found.voided_by)}\n`);
}

function voidText({ source, id, reason, received_at, applied_at }: NonNullable<EventExplanation['voided_by']>): string {
  const when = applied_at ?? `received ${received_at}, not yet applied`;
  return `by ${source} ${id}, ${when}${reason === null ? '' : `: ${reason}`}`;
}

function attribution(found: EventExplanation): [string, string][] {
  return Object.entries(found.attribution ?? {})
    .filter(([name, value]) => value !== null && value !== undefined && name !== 'customer')
    .map(([name, value]) => [name.replaceAll('_', ' '), text(value)]);
}

/** `output_tokens  18 x 0.000025 = 0.00045 USD`, and below it which price, which part of a tier and who paid. */
function lineText(line: RatedLine): string {
  const unit = line.unit_amount ?? undefined;
  const factor = unit === undefined ? '' : ` × ${unit}`;
  const head = `  ${line.meter}  ${withGroups(line.quantity)}${factor} = ${amount(line.amount)} ${line.currency}`;
  const { card, version, key } = line.price;
  const price = `price ${key === undefined ? '' : `${key} of `}rate card ${card} version ${version}`;
  const tier = line.tier === null || line.tier === undefined ? '' : `, tier ${line.tier}`;
  const range =
    line.total_before === undefined || line.total_after === undefined
      ? ''
      : `; total before ${withGroups(line.total_before)}, after ${withGroups(line.total_after)}`;
  return [head, `    ${price}${tier}${range}`, ...payers(line)].join('\n');
}

function payers(line: RatedLine): string[] {
  const paid = (line.grants ?? []).map(
    (one) => `    paid by grant ${one.grant}: ${amount(one.amount)} ${line.currency}`,
  );
  const receivable = parseDecimal(line.receivable ?? '0');
  const isOwed = receivable !== undefined && receivable.coefficient !== 0n;
  return isOwed ? [...paid, `    owed by the customer: ${amount(line.receivable ?? '0')} ${line.currency}`] : paid;
}

function totals(lines: readonly RatedLine[]): string {
  const byCurrency = new Map<string, string[]>();
  for (const line of lines) byCurrency.set(line.currency, [...(byCurrency.get(line.currency) ?? []), line.amount]);
  return [...byCurrency]
    .map(
      ([currency, amounts]) =>
        `${amount(toText(sum(amounts.map((one) => parseDecimal(one) ?? decimal(0)))))} ${currency}`,
    )
    .join(' + ');
}

function text(value: unknown): string {
  if (typeof value === 'string') return value;
  return value === undefined ? '' : JSON.stringify(value);
}
