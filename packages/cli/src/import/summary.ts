import type { CliIo } from '../io.ts';
import { amount, plural, withGroups } from '../print/number.ts';
import { createStyle } from '../print/style.ts';
import { printPairs } from '../print/table.ts';
import type { ConflictSummary } from './explain-conflicts.ts';
import type { DryRun } from './dry-run.ts';
import type { ImportSummary } from './run-import.ts';

export function printSummary(io: CliIo, summary: ImportSummary, isJson: boolean): void {
  if (isJson) {
    io.writeOut(`${JSON.stringify(toJson(summary), null, 2)}\n`);
    return;
  }
  const style = createStyle(io);
  const { counts, inputs } = summary;
  const what = inputs.length === 1 ? (inputs[0]?.name ?? '') : plural(inputs.length, 'file');
  const whose = summary.customer === undefined ? '' : ` as customer ${style.bold(summary.customer)}`;
  io.writeOut(
    `${summary.isInterrupted ? 'Interrupted while importing' : 'Imported'} ${what} into ${summary.target}${whose}\n\n`,
  );
  const rate = summary.durationMs > 0 ? Math.round((counts.records / summary.durationMs) * 1_000) : 0;
  const pairs: (readonly [string, string])[] = [
    ['records', withGroups(counts.records)],
    ['accepted', withGroups(counts.accepted)],
    [
      'duplicates',
      `${withGroups(counts.duplicates)}${counts.duplicates > 0 ? style.dim('  recorded before, not counted again') : ''}`,
    ],
    ['conflicts', withGroups(counts.conflicts)],
    ['rejected', withGroups(counts.rejected)],
    ...(counts.unreadable > 0 ? [['unreadable', withGroups(counts.unreadable)] as const] : []),
    ['took', `${(summary.durationMs / 1_000).toFixed(1)} s (${withGroups(rate)} records/s)`],
  ];
  printPairs(
    io,
    pairs.map(([name, value]) => [`  ${name}`, value]),
  );
  const notes = [
    ...inputs
      .filter((one) => one.resumedAt > 0)
      .map(
        (one) =>
          `${one.name}: went on after record ${withGroups(one.resumedAt)}, where an earlier import was interrupted.`,
      ),
    ...conflictNotes(summary.conflicts, counts.conflicts),
    ...summary.notes,
    ...warningNotes(summary),
    ...(summary.isInterrupted ? ['Run the same command again to go on; nothing is counted twice.'] : []),
  ];
  if (notes.length > 0) io.writeOut(`\n${notes.map((note) => `  ${note}\n`).join('')}`);
  printIssues(io, summary.issues, counts.rejected + counts.unreadable);
}

function warningNotes({ warnings, customer }: ImportSummary): string[] {
  if (warnings.length === 0) return [];
  return [`Warned of: ${warnings.join(', ')}. What that means: ergon data-quality ${customer ?? 'CUSTOMER'}`];
}

function conflictNotes(conflicts: ConflictSummary | undefined, count: number): string[] {
  if (count === 0 || conflicts === undefined) return [];
  const { sameUsage, recordedSmaller, tokensMissing, recordedLarger, different, examined } = conflicts;
  return [
    ...(sameUsage > 0
      ? [`${plural(sameUsage, 'conflict')}: recorded with the same usage from another copy; nothing is missing.`]
      : []),
    ...(recordedSmaller > 0
      ? [
          `${plural(recordedSmaller, 'conflict')}: recorded earlier with fewer tokens than the input has now; ${plural(tokensMissing, 'token')} are not recorded.`,
        ]
      : []),
    ...(recordedLarger > 0
      ? [
          `${plural(recordedLarger, 'conflict')}: recorded earlier with at least the tokens the input has now; the record stays.`,
        ]
      : []),
    ...(different > 0
      ? [
          `${plural(different, 'conflict')}: another event is recorded under the same source and id; it stays. Imported as another customer? Then say --source.`,
        ]
      : []),
    ...(examined < count ? [`${plural(count - examined, 'conflict')} not looked at.`] : []),
    ...conflicts.examples.map(({ place, id, differences }) => `  ${place} (${id}): ${differences.join('; ')}`),
  ];
}

function printIssues(io: CliIo, issues: readonly string[], count: number): void {
  if (issues.length === 0) return;
  const more = count - issues.length;
  io.writeOut(`\n  Not imported:\n${issues.map((issue) => `    ${issue}\n`).join('')}`);
  if (more > 0) io.writeOut(`    and ${withGroups(more)} more (--rejects FILE writes all of them)\n`);
}

function toJson(summary: ImportSummary): unknown {
  const { target, kind, customer, inputs, counts, conflicts, notes, issues, durationMs, isInterrupted } = summary;
  return {
    target,
    kind,
    customer: customer ?? null,
    inputs: inputs.map((one) => ({ name: one.name, resumed_at: one.resumedAt, ...one.counts })),
    ...counts,
    conflict_details:
      conflicts === undefined
        ? null
        : {
            examined: conflicts.examined,
            same_usage: conflicts.sameUsage,
            recorded_smaller: conflicts.recordedSmaller,
            tokens_missing: conflicts.tokensMissing,
            recorded_larger: conflicts.recordedLarger,
            different: conflicts.different,
            examples: conflicts.examples,
          },
    warnings: summary.warnings,
    notes,
    issues,
    duration_ms: Math.round(durationMs),
    interrupted: isInterrupted,
  };
}

function listPrice({ cost }: DryRun): string {
  const missing = Object.entries(cost.unpriced).map(([model, count]) => `${model} (${withGroups(count)})`);
  return `${amount(cost.amount)} USD, ${cost.source}${missing.length > 0 ? `; without a price: ${missing.join(', ')}` : ''}`;
}

type Preview = DryRun & { readonly notes: readonly string[]; readonly issues: readonly string[] };

export function printDryRun(io: CliIo, found: Preview, isJson: boolean): void {
  if (isJson) {
    io.writeOut(
      `${JSON.stringify({ dry_run: true, ...found, from: found.from ?? null, to: found.to ?? null }, null, 2)}\n`,
    );
    return;
  }
  io.writeOut('Dry run: nothing was sent.\n\n');
  const list = (names: Readonly<Record<string, number>>): string =>
    Object.entries(names)
      .map(([name, count]) => `${name} (${withGroups(count)})`)
      .join(', ');
  const pairs: (readonly [string, string])[] = [
    ['records', withGroups(found.records)],
    ['events', withGroups(found.events)],
    ['unreadable', withGroups(found.unreadable)],
    ['times', found.from === undefined ? 'none' : `${found.from} to ${found.to}`],
    ['customers', list(found.customers)],
    ['types', list(found.types)],
    ['models', list(found.models)],
    ...Object.entries(found.tokens).map(([name, count]) => [`${name} tokens`, withGroups(count)] as const),
    ...(Object.keys(found.tokens).length > 0 ? [['list price', listPrice(found)] as const] : []),
  ];
  printPairs(
    io,
    pairs.map(([name, value]) => [`  ${name}`, value === '' ? 'none' : value]),
  );
  if (found.notes.length > 0) io.writeOut(`\n${found.notes.map((note) => `  ${note}\n`).join('')}`);
  if (found.first !== undefined) io.writeOut(`\n  The first event:\n  ${found.first}\n`);
  printIssues(io, found.issues, found.unreadable);
}
