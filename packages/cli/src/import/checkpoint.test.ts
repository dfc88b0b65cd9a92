import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { type Checkpoint, openCheckpoint } from './checkpoint.ts';
import { NO_COUNTS } from './counts.ts';

const directory = mkdtempSync(join(tmpdir(), 'ergon-checkpoint-'));
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const CHECKPOINT: Checkpoint = {
  version: 1,
  fingerprint: 'f',
  recordsDone: 500,
  lastEvent: { source: 's', id: 'e499' },
  counts: { ...NO_COUNTS, records: 500, accepted: 500 },
  savedAt: '2026-11-21T05:00:00.000Z',
};

test('is found again under the same key only, and is gone when the import is through', () => {
  const store = openCheckpoint(directory, ['csv', 'http://a', 'acme']);
  expect(store.load()).toBeUndefined();
  store.save(CHECKPOINT);
  expect(openCheckpoint(directory, ['csv', 'http://a', 'acme']).load()).toEqual(CHECKPOINT);
  expect(openCheckpoint(directory, ['csv', 'http://a', 'zeus']).load()).toBeUndefined();
  store.remove();
  expect(store.load()).toBeUndefined();
  expect(readdirSync(directory)).toEqual([]);
});

test.each(['', '{', '[]', '{"version":2}', '{"version":1,"fingerprint":"f"}'])(
  'a file that holds %j is no checkpoint',
  (text) => {
    const store = openCheckpoint(directory, ['k']);
    store.save(CHECKPOINT);
    for (const name of readdirSync(directory)) writeFileSync(join(directory, name), text);
    expect(store.load()).toBeUndefined();
  },
);
