import { createCodexReader } from '@ergon/usage';
import { join, resolve } from 'node:path';
import type { AgentLog } from './agent-log.ts';
import { sessionLines } from './session-lines.ts';

/** Codex CLI: `sessions` and `archived_sessions` below CODEX_HOME or ~/.codex. */
export const codex: AgentLog = {
  name: 'codex',
  title: 'Codex CLI',
  places: ({ env, homeDir, cwd }) => {
    const configured = env['CODEX_HOME'];
    const home = configured === undefined || configured === '' ? join(homeDir, '.codex') : resolve(cwd, configured);
    return [join(home, 'sessions'), join(home, 'archived_sessions')];
  },
  isLog: (path) => /\.jsonl(\.gz|\.zst)?$/.test(path),
  createReader: (access) => (file) => sessionLines(file, access, createCodexReader),
  // A count is written once its answer has ended, and never changed.
  isFinal: () => true,
  repeats: 'Codex copies a history into the session that goes on from it',
};
