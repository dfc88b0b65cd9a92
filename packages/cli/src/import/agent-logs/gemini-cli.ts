import { createGeminiReader, parseGeminiChat } from '@ergon/usage';
import { join, resolve } from 'node:path';
import { type AgentLog, type FoundLine, listed, type LogAccess, type LogFile } from './agent-log.ts';
import { readDocument } from './read-document.ts';
import { sessionFile, sessionLines } from './session-lines.ts';

/** Gemini CLI: `tmp/<project>/chats/*.json` and `*.jsonl` below GEMINI_DATA_DIR or ~/.gemini. */
export const geminiCli: AgentLog = {
  name: 'gemini-cli',
  title: 'Gemini CLI',
  places: ({ env, homeDir, cwd }) => {
    const configured = listed(env['GEMINI_DATA_DIR'])?.map((one) => resolve(cwd, one));
    return (configured ?? [join(homeDir, '.gemini')]).map((root) => join(root, 'tmp'));
  },
  // Beside the chats stand logs of prompts, which have no usage.
  isLog: (path) => /(^|\/)(chats\/[^/]+|session-[^/]+)\.jsonl?(\.gz|\.zst)?$/.test(path),
  createReader: (access) => (file) =>
    /\.json(\.gz|\.zst)?$/.test(file.path) ? readChat(file, access) : sessionLines(file, access, createGeminiReader),
  // A message is written again while its tools run.
  isFinal: () => false,
  repeats: 'Gemini CLI writes a message again whenever it changes',
};

async function* readChat(file: LogFile, access: LogAccess): AsyncGenerator<FoundLine> {
  const document = await readDocument(access.open(file));
  if (!document.ok) {
    yield { place: file.relativePath, line: { kind: 'dropped', reason: document.detail } };
    return;
  }
  for (const line of parseGeminiChat(document.text, sessionFile(file, access))) {
    yield { place: file.relativePath, line };
  }
}
