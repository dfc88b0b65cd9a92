import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { expect, test } from 'vitest';
import { importsOf, repositoryFiles, root, withoutComments } from './support/source-files.ts';

/** Rules of the house that linters do not know. The walls are those of ARCHITECTURE.md. */

const PURE = ['exact', 'usage', 'compute', 'rating', 'delivery'];
const DOORS = ['client', 'cli', 'dashboard'];
const GROUP: Readonly<Record<string, number>> = {
  ...{ capture: 3, gateway: 3, billing: 3, handoff: 3, report: 3, audit: 3, rerate: 3, 'catalog-file': 3 },
  ...{
    record: 2,
    identity: 2,
    estimate: 2,
    deployments: 2,
    govern: 2,
    ledger: 2,
    catalog: 2,
    work: 2,
    quality: 2,
    'provider-prices': 2,
    outbox: 2,
    policies: 2,
  },
  ...{ store: 1, http: 1, event: 1, outbound: 1 },
};

/**
 * Files by which other modules may enter, beside `index.ts`. A module whose list grows wants an `index.ts`; nothing private
 * (`*-store.ts`, helpers) belongs here.
 */
const FACES: Readonly<Record<string, readonly string[]>> = {
  capture: ['ingest'],
  catalog: [
    'billing-month',
    'billing-period',
    'billing-terms',
    'built-in-meters',
    'counted-meter',
    'custom-meter',
    'customers',
    'revision',
    'snapshot',
  ],
  // The record asks budgets and holds in its own transaction.
  govern: ['budget-store', 'compile-budget', 'count-spending', 'hold-store', 'schemas', 'take-holds'],
  // The snapshot loads them, the record counts by them.
  deployments: ['deployments', 'load-deployments', 'measure-work'],
  ledger: ['burn'],
  // A hold may bring the body of an estimate.
  estimate: ['schemas'],
  // The record's own shapes are read back by report, and recomputed by audit.
  record: [
    ...['group-commit', 'record-services', 'services', 'types'],
    ...['adjust', 'adjusting-event', 'standing', 'fill-unrated'],
    ...['blocks', 'encode-rating', 'match-price', 'prepare', 'preview-charge', 'read-events', 'void'],
    ...[
      'account-store',
      'accumulate',
      'dimension-sets',
      'rate-group',
      'recorded-bucket',
      'rollups',
      'run-columns',
      'value-hash',
    ],
  ],
};

const FILE_LINES_MAX = 400;
const TEST_LINES_MAX = 800;
const SOURCE = /\.(ts|tsx|mjs|js)$/;
const TEST = /\.(test|soak|bench|test-support)\.ts$|^tests\//;

const files = repositoryFiles();
const sources = files.filter((file) => SOURCE.test(file) && !/\.generated\.ts$/.test(file));
const shipped = sources.filter((file) => file.startsWith('packages/') && !TEST.test(file));

test('the scan sees the project', () => {
  expect(shipped.length).toBeGreaterThan(20);
  expect(shipped.flatMap((file) => importsOf(file)).length).toBeGreaterThan(50);
});

test('pure packages import nothing but their shared nouns', () => {
  const allowed = (packageName: string): string[] =>
    packageName === 'exact' ? [] : packageName === 'usage' ? ['@ergon/exact'] : ['@ergon/exact', '@ergon/usage', 'zod'];
  const broken = shipped.flatMap((file) => {
    const room = roomOf(file);
    if (!PURE.includes(room) || !file.includes('/src/')) return [];
    return importsOf(file)
      .filter((name) => !name.startsWith('.') && !allowed(room).includes(name))
      .map((name) => `${file} imports ${name}`);
  });
  expect(broken).toEqual([]);
});

test('pure packages have no clock, randomness, process, network or waiting', () => {
  const banned =
    /\b(Date\.now|new Date\(\)|Math\.random|performance\.now|process\.|fetch\(|setTimeout\(|globalThis\.crypto|crypto\.random\w+|await\b|async\b)/;
  const broken = shipped.flatMap((file) => {
    if (!PURE.includes(roomOf(file)) || !file.includes('/src/')) return [];
    const found = banned.exec(withoutComments(readFileSync(join(root, file), 'utf8')));
    return found === null ? [] : [`${file}: ${found[0]}`];
  });
  expect(broken).toEqual([]);
});

test('packages are entered by their index, and imports point from doors to the shell to pure rooms', () => {
  const broken = sources.flatMap((file) => {
    if (!file.startsWith('packages/') || TEST.test(file)) return [];
    const room = roomOf(file);
    return importsOf(file).flatMap((name) => {
      if (name.startsWith('.')) {
        const target = resolved(file, name);
        return roomOf(target) === room ? [] : [`${file} reaches into ${target}`];
      }
      if (!name.startsWith('@ergon/')) return [];
      const [, other = '', ...inside] = name.split('/');
      if (inside.length > 0) return [`${file} reaches past the face of ${other}: ${name}`];
      const isUpward = room === 'server' && DOORS.includes(other);
      return isUpward || other === room ? [`${file} imports ${name}`] : [];
    });
  });
  expect(broken).toEqual([]);
});

test('server modules meet at their index, and point from in and out to core to ground', () => {
  const broken = shipped.flatMap((file) => {
    const from = moduleOf(file);
    if (from === undefined) return [];
    return importsOf(file).flatMap((name) => {
      if (!name.startsWith('.')) return [];
      const target = resolved(file, name);
      const to = moduleOf(target);
      if (to === undefined || to === from) return [];
      // The ground is everybody's: its files may be named one by one. http wires the modules into one app.
      const entry = /\/([^/]+)\.ts$/.exec(target)?.[1] ?? '';
      const isFace = GROUP[to] === 1 || entry === 'index' || (FACES[to] ?? []).includes(entry);
      const isUpward = (GROUP[to] ?? 0) > (GROUP[from] ?? 0) && from !== 'http';
      return isFace && !isUpward ? [] : [`${file} imports ${target}`];
    });
  });
  expect(broken).toEqual([]);
});

test('no import cycles', () => {
  const graph = new Map(shipped.map((file) => [file, valueTargets(file)]));
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) cycles.push([...path.slice(path.indexOf(file)), file].join(' -> '));
    if (done.has(file) || path.includes(file)) return;
    for (const target of graph.get(file) ?? []) visit(target, [...path, file]);
    done.add(file);
  };
  for (const file of graph.keys()) visit(file, []);
  expect(cycles).toEqual([]);
});

test('files stay readable in length', () => {
  const long = sources.flatMap((file) => {
    const lines = readFileSync(join(root, file), 'utf8').trimEnd().split('\n').length;
    return lines > (TEST.test(file) ? TEST_LINES_MAX : FILE_LINES_MAX) ? [`${file}: ${lines} lines`] : [];
  });
  expect(long).toEqual([]);
});

test('the lock file names no download address', () => {
  expect(readFileSync(join(root, 'package-lock.json'), 'utf8')).not.toMatch(/"resolved": "https?:/);
});

test('dependencies have exact versions', () => {
  const loose = files
    .filter((file) => /(^|\/)package\.json$/.test(file))
    .flatMap((file) =>
      [...readFileSync(join(root, file), 'utf8').matchAll(/"([@\w/.-]+)": "([\^~><*]\s*=?\d[^"]*|\*|latest)"/g)]
        .filter((match) => match[1] !== 'node')
        .map((match) => `${file}: ${match[1]} ${match[2]}`),
    );
  expect(loose).toEqual([]);
});

test('links in Markdown lead somewhere', () => {
  const dead = files
    .filter((file) => file.endsWith('.md'))
    .flatMap((file) => {
      const text = readFileSync(join(root, file), 'utf8').replace(/```[\s\S]*?```/g, '');
      return [...text.matchAll(/\]\(([^)\s]+)\)/g)]
        .map((match) => (match[1] ?? '').replace(/#.*$/, ''))
        .filter((link) => link !== '' && !/^[a-z]+:/.test(link))
        .filter((link) => !existsSync(join(root, dirname(file), decodeURIComponent(link))))
        .map((link) => `${file}: ${link}`);
    });
  expect(dead).toEqual([]);
});

test('nothing that ships looks outside the repository', () => {
  const outside = shipped.filter((file) => readFileSync(join(root, file), 'utf8').includes('../shared'));
  expect(outside).toEqual([]);
});

test('every environment variable read has a line in docs/configuration.md', () => {
  const documented = readFileSync(join(root, 'docs/configuration.md'), 'utf8');
  const read = new Set(
    shipped.flatMap((file) => {
      const text = withoutComments(readFileSync(join(root, file), 'utf8'));
      return [...text.matchAll(/\b(ERGON_[A-Z0-9_]+|DATABASE_URL|CLICKHOUSE_URL)\b/g)].map((match) => match[1] ?? '');
    }),
  );
  expect(read.size).toBeGreaterThan(0);
  expect([...read].filter((name) => !documented.includes(`\`${name}\``)).sort()).toEqual([]);
});

/** The package of a repository path. */
function roomOf(file: string): string {
  return /^packages\/([^/]+)\//.exec(file)?.[1] ?? '';
}

/** The server module of a repository path; files directly in `src` (the wiring) belong to none. */
function moduleOf(file: string): string | undefined {
  return /^packages\/server\/src\/([^/]+)\//.exec(file)?.[1];
}

function resolved(file: string, name: string): string {
  return relative('.', normalize(join(dirname(file), name)));
}

/** Files imported for their values; types vanish before anything runs, so they close no cycle. */
function valueTargets(file: string): string[] {
  return importsOf(file, { withTypes: false })
    .filter((name) => name.startsWith('.'))
    .map((name) => resolved(file, name));
}
