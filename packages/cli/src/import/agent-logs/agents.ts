import type { AgentLog } from './agent-log.ts';
import { claudeCode } from './claude-code.ts';
import { codex } from './codex.ts';
import { copilot } from './copilot.ts';
import { geminiCli } from './gemini-cli.ts';
import { opencode } from './opencode.ts';

/** The agents whose logs can be imported, in the order in which they are listed. */
export const AGENTS: readonly AgentLog[] = [claudeCode, codex, geminiCli, opencode, copilot];
