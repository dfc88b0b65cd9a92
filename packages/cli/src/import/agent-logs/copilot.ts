import { createCopilotReader } from '@ergon/usage';
import { join, resolve } from 'node:path';
import type { AgentLog } from './agent-log.ts';
import { sessionLines } from './session-lines.ts';

/** GitHub Copilot CLI: the OpenTelemetry files it writes to COPILOT_OTEL_FILE_EXPORTER_PATH or below COPILOT_HOME or ~/.copilot. */
export const copilot: AgentLog = {
  name: 'copilot',
  title: 'GitHub Copilot',
  places: ({ env, homeDir, cwd }) => {
    const exported = env['COPILOT_OTEL_FILE_EXPORTER_PATH'];
    const configured = env['COPILOT_HOME'];
    const home = configured === undefined || configured === '' ? join(homeDir, '.copilot') : resolve(cwd, configured);
    return [...(exported === undefined || exported === '' ? [] : [resolve(cwd, exported)]), join(home, 'otel')];
  },
  isLog: (path) => /\.jsonl?(\.gz|\.zst)?$/.test(path),
  createReader: (access) => (file) => sessionLines(file, access, createCopilotReader),
  // The span of a call is exported some time after the log record that stands in for it until then.
  isFinal: () => false,
  repeats: 'Copilot tells a call as a span, a log record, a turn and a summary',
};
