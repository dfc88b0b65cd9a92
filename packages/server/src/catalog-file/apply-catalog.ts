import { createHash } from 'node:crypto';
import type { CatalogWrite } from '../catalog/index.ts';
import { type FieldError, refuse } from '../http/problem.ts';
import { LIMITS } from '../limits.ts';
import type { ProviderPrices } from '../provider-prices/index.ts';
import { recordAction } from '../store/audit-log.ts';
import { type CatalogFile, KINDS } from './catalog-file.ts';
import { compareCatalog, type Comparison, type Difference } from './compare-catalog.ts';
import { type CatalogQuestion, readCatalog } from './read-catalog.ts';
import { writeEntry } from './write-entry.ts';

export type Application = Comparison & { readonly differenceId: string };

/**
 * Makes the environment's catalog say what the file says, wholly or not at all. A dry run goes the same way to its end and
 * takes everything back, so what it accepts can be applied.
 *
 * @throws a problem with everything that is wrong, or when the difference is not the one expected.
 */
export async function applyCatalog(
  write: CatalogWrite,
  table: ProviderPrices,
  file: CatalogFile,
  { isDryRun, expected }: { readonly isDryRun: boolean; readonly expected: string | undefined },
): Promise<Application> {
  const { client, environmentId, now } = write;
  const comparison = compareCatalog(file, await readCatalog(client, environmentId, questionOf(file), now), now);
  const differenceId = fingerprint(comparison.differences);
  if (expected !== undefined && expected !== differenceId) {
    throw refuse('conflict', 'the catalog has changed since the difference was shown', [
      { parameter: 'difference_id', detail: 'the difference is another one now', remedy: 'look at it again' },
    ]);
  }
  if (isDryRun) await client.query('savepoint catalog_dry_run');
  const problems = [...comparison.problems, ...(await writeAll(write, table, comparison.differences, file))];
  if (problems.length > 0) {
    const shown = problems.slice(0, LIMITS.catalogProblemsMax);
    const found = problems.length === 1 ? 'one problem' : `${problems.length} problems`;
    throw refuse('invalid_catalog', `nothing is applied: the catalog has ${found}`, shown);
  }
  if (isDryRun) await client.query('rollback to savepoint catalog_dry_run');
  return { ...comparison, differenceId };
}

/** Writes every difference, also after one that fails, to find everything that is wrong. */
async function writeAll(
  write: CatalogWrite,
  table: ProviderPrices,
  differences: readonly Difference[],
  file: CatalogFile,
): Promise<FieldError[]> {
  const problems: FieldError[] = [];
  const failed = new Set<string>();
  for (const [difference, found] of await writeEach(write, table, differences)) {
    failed.add(`${difference.wanted.kind}/${difference.key}`);
    problems.push(...found.filter(({ pointer = '' }) => !failed.has(referenceAt(file, pointer))));
  }
  if (differences.length > 0 && problems.length === 0) {
    const created = differences.filter((one) => one.action === 'create').length;
    await recordAction(write.client, {
      environmentId: write.environmentId,
      actor: write.actor,
      action: 'catalog.apply',
      target: '/v1/catalog',
      detail: { created, changed: differences.length - created },
    });
  }
  return problems;
}

/**
 * Overrides of one customer that follow each other make room for each other: whichever the file names first, those that find
 * none are tried again as long as another one moved.
 *
 * @returns what is wrong, by difference.
 */
async function writeEach(
  write: CatalogWrite,
  table: ProviderPrices,
  differences: readonly Difference[],
): Promise<Map<Difference, readonly FieldError[]>> {
  const faults = new Map<Difference, readonly FieldError[]>();
  let left = differences;
  for (;;) {
    for (const difference of left) {
      const found = await writeEntry(write, table, difference);
      if (found.length === 0) faults.delete(difference);
      else faults.set(difference, found);
    }
    const again = left.filter((one) => one.wanted.kind === 'customer_overrides' && faults.has(one));
    if (again.length === 0 || again.length === left.length) return faults;
    left = again;
  }
}

/** Members that name another entry, and its kind. */
const REFERENCES: Readonly<Record<string, string>> = { meter: 'meters', feature: 'features', rate_card: 'rate_cards' };

/** The entry that the file names at the pointer. One that fails itself is not missing: its own problem is enough. */
function referenceAt(file: CatalogFile, pointer: string): string {
  const path = pointer.split('/').slice(1);
  let value: unknown = file;
  for (const segment of path) {
    const name = segment.replaceAll('~1', '/').replaceAll('~0', '~');
    if (typeof value !== 'object' || value === null) return '';
    value = Object.entries(value).find(([member]) => member === name)?.[1];
  }
  return `${REFERENCES[path.at(-1) ?? ''] ?? ''}/${String(value)}`;
}

/** Only the kinds of the file are read, and only what is said under its keys. */
function questionOf(file: CatalogFile): CatalogQuestion {
  const named = KINDS.filter((kind) => file[kind] !== undefined);
  return Object.fromEntries(named.map((kind) => [kind, Object.keys(file[kind] ?? {})]));
}

function fingerprint(differences: readonly Difference[]): string {
  const text = JSON.stringify(differences.map(({ wanted, ...shown }) => [wanted.kind, shown]));
  return createHash('sha256').update(text).digest('base64url').slice(0, 22);
}
