import { type LogLine, parseOpencodeMessage } from '@ergon/usage';
import { basename, join, resolve } from 'node:path';
import { type AgentLog, type FoundLine, listed, type LogAccess, type LogFile } from './agent-log.ts';
import { messageRows } from './opencode-database.ts';
import { readDocument } from './read-document.ts';

/** opencode: `opencode.db`, `opencode-*.db` and the older `storage/message/**.json` below OPENCODE_DATA_DIR or its data home. */
export const opencode: AgentLog = {
  name: 'opencode',
  title: 'opencode',
  places: ({ env, homeDir, cwd }) => {
    const configured = listed(env['OPENCODE_DATA_DIR'])?.map((one) => resolve(cwd, one));
    const dataHome = env['XDG_DATA_HOME'];
    const base = dataHome === undefined || dataHome === '' ? join(homeDir, '.local', 'share') : resolve(cwd, dataHome);
    return configured ?? [join(base, 'opencode')];
  },
  isLog: (path) => isDatabase(path) || /(^|\/)(message\/.+|msg_[^/]+)\.json$/.test(path) || isSession(path),
  // Its ids win over those of the files; who started a session must be known before its messages.
  rank: (path) => (path.endsWith('.db') ? 0 : isSession(path) ? 1 : 2),
  createReader: (access) => {
    const state: State = { told: new Set(), parents: new Map() };
    return (file) => (file.path.endsWith('.db') ? readDatabase(file, access, state) : readFile(file, access, state));
  },
  isFinal: () => false,
  repeats: 'opencode keeps a message in its database and in an older file',
};

/** What earlier files of the import have told. */
type State = {
  /** Messages of the databases: what the older files say of them is not news. */
  readonly told: Set<string>;
  /** Sessions of the files and the sessions that started them. */
  readonly parents: Map<string, string>;
};

function isDatabase(path: string): boolean {
  return /(^|[/\\])opencode(-[^/\\]+)?\.db$/.test(path);
}

function isSession(path: string): boolean {
  return /(^|[/\\])session[/\\].+[/\\]ses_[^/\\]+\.json$/.test(path);
}

async function* readDatabase(file: LogFile, access: LogAccess, state: State): AsyncGenerator<FoundLine> {
  access.skip(file);
  for await (const row of messageRows(file.path)) {
    if (!row.ok) {
      yield { place: file.relativePath, line: { kind: 'dropped', reason: row.detail } };
      continue;
    }
    const line = parseOpencodeMessage(row.message);
    if (row.message.id !== undefined) state.told.add(row.message.id);
    if (line.kind !== 'other') yield { place: `${file.relativePath}:${row.message.id ?? ''}`, line };
  }
}

async function* readFile(file: LogFile, access: LogAccess, state: State): AsyncGenerator<FoundLine> {
  const document = await readDocument(access.open(file));
  const place = file.relativePath;
  if (!document.ok) {
    yield { place, line: { kind: 'dropped', reason: document.detail } };
    return;
  }
  if (isSession(file.path)) {
    keepParent(document.text, state);
    return;
  }
  if (state.told.has(basename(file.path, '.json'))) return;
  const line = parseOpencodeMessage({ data: document.text });
  if (line.kind !== 'other') yield { place, line: withParent(line, state) };
}

function keepParent(text: string, { parents }: State): void {
  let session: { readonly id?: unknown; readonly parentID?: unknown } | null;
  try {
    session = JSON.parse(text);
  } catch {
    return;
  }
  if (typeof session?.id === 'string' && typeof session.parentID === 'string')
    parents.set(session.id, session.parentID);
}

function withParent(line: LogLine, { parents }: State): LogLine {
  if (line.kind !== 'call' || line.call.sessionId === undefined) return line;
  const parentId = parents.get(line.call.sessionId);
  return parentId === undefined ? line : { kind: 'call', call: { ...line.call, parentId } };
}
