import { createHash } from 'node:crypto';
import { CliError } from '../../cli-error.ts';
import { EXIT_CODE } from '../../exit-code.ts';
import type { CliIo } from '../../io.ts';
import { plural, withGroups } from '../../print/number.ts';
import { convertValue } from '../csv/convert-value.ts';
import { parseAssignment } from '../csv/mapping.ts';
import { fingerprint, inspectFile, openInput } from '../input-file.ts';
import type { ImportPlan } from '../run-import.ts';
import { findLogs } from './find-logs.ts';
import { type ClaudeCodeNotes, readClaudeCode } from './read-claude-code.ts';

/** `ergon import claude-code`: all files are one input, because a call may stand in several of them. */
export function claudeCodePlan(
  io: CliIo,
  paths: readonly string[],
  flags: { readonly customer: string; readonly set: readonly string[] },
): ImportPlan {
  const files = findLogs(paths, io);
  const inspected = new Map(files.map((file) => [file, inspectFile(file.path)]));
  const hash = createHash('sha256');
  for (const [file, state] of inspected) hash.update(`${file.relativePath}\n${fingerprint(state)}\n`);
  const fixed = fixedData(flags.set);
  const notes: ClaudeCodeNotes = { usageLines: 0, calls: 0, synthetic: 0, unfinished: 0 };
  const nowMs = io.nowMs();
  return {
    kind: 'claude-code',
    customer: flags.customer,
    jobs: [
      {
        name: plural(files.length, 'Claude Code log'),
        fingerprint: hash.digest('hex'),
        isRepeatable: () => notes.unfinished === 0,
        open: (onBytes) =>
          readClaudeCode(
            {
              files,
              openFile: (file) => openInput(inspected.get(file) ?? inspectFile(file.path), onBytes),
              customer: flags.customer,
              fixed,
              nowMs,
            },
            notes,
          ),
      },
    ],
    bytesTotal: [...inspected.values()].reduce((sum, state) => sum + state.bytes, 0),
    settings: [JSON.stringify(fixed), ...files.map((file) => file.path)],
    notes: () => describe(notes),
  };
}

function describe({ usageLines, calls, synthetic, unfinished }: ClaudeCodeNotes): string[] {
  return [
    `${withGroups(usageLines)} lines with usage are ${plural(calls, 'call')}: Claude Code repeats a call on each line of its answer.`,
    ...(synthetic > 0
      ? [`${plural(synthetic, 'message')} written by Claude Code itself left out: no call was made.`]
      : []),
    ...(unfinished > 0
      ? [`${plural(unfinished, 'call')} of the last five minutes may still be running; left for the next import.`]
      : []),
  ];
}

function fixedData(texts: readonly string[]): Record<string, unknown> {
  const data: Record<string, unknown> = {};
  const properties: Record<string, unknown> = {};
  for (const text of texts) {
    const parsed = parseAssignment(text, 'value');
    if (!parsed.ok) throw new CliError(EXIT_CODE.usage, parsed.detail);
    const { target, from } = parsed.assignment;
    const [head, name] = target.kind === 'data' ? target.path : [];
    if (target.kind !== 'data' || head === undefined || !('value' in from) || TAKEN.has(head)) {
      throw new CliError(
        EXIT_CODE.usage,
        `--set ${text}: the log gives this`,
        'Set user, team, feature, work_item or properties.NAME.',
      );
    }
    const converted = convertValue(from.value, target.type);
    if (!converted.ok) throw new CliError(EXIT_CODE.usage, `--set ${text}: ${converted.detail}`);
    if (head === 'properties' && name !== undefined) properties[name] = converted.value;
    else data[head] = converted.value;
  }
  return Object.keys(properties).length > 0 ? { ...data, properties } : data;
}

/** What the log itself says of a call. */
const TAKEN: ReadonlySet<string> = new Set([
  'provider',
  'api',
  'model',
  'usage',
  'tokens',
  'quality',
  'run_id',
  'parent_run_id',
]);
