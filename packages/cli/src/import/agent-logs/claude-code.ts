import { parseClaudeCodeLine } from '@ergon/usage';
import { basename, join, resolve } from 'node:path';
import { readLines } from '../read-lines.ts';
import { type AgentLog, type FoundLine, listed, type LogAccess, type LogFile } from './agent-log.ts';

/** Claude Code: `projects/**.jsonl` below CLAUDE_CONFIG_DIR or both of its usual places. */
export const claudeCode: AgentLog = {
  name: 'claude-code',
  title: 'Claude Code',
  places: ({ env, homeDir, cwd }) => {
    const configured = listed(env['CLAUDE_CONFIG_DIR'])?.map((one) => resolve(cwd, one));
    const roots = configured ?? [join(homeDir, '.config', 'claude'), join(homeDir, '.claude')];
    return roots.map((root) => (basename(root) === 'projects' ? root : join(root, 'projects')));
  },
  isLog: (path) => /\.jsonl(\.gz|\.zst)?$/.test(path),
  createReader: (access) => (file) => read(file, access),
  // Without a stop reason the answer was still being written when the line was.
  isFinal: (call) => call.record.quality === 'reported',
  repeats: 'Claude Code repeats a call on each line of its answer',
};

async function* read(file: LogFile, access: LogAccess): AsyncGenerator<FoundLine> {
  const sessionId = basename(file.relativePath).replace(/\.jsonl(\.\w+)?$/, '');
  for await (const line of readLines(access.open(file))) {
    const place = `${file.relativePath}:${line.number}`;
    if (!line.ok) {
      yield { place, line: { kind: 'dropped', reason: line.detail } };
      continue;
    }
    const parsed = parseClaudeCodeLine(line.text, { sessionId, file: file.relativePath, line: line.number });
    if (parsed.kind !== 'other') yield { place, line: parsed };
  }
}
