import type { AgentCall, LogLine } from '@ergon/usage';

/** One log file of an agent. */
export type LogFile = {
  readonly path: string;
  /** Path from the directory that was searched: the same on every machine. */
  readonly relativePath: string;
};

/** What decides where an agent keeps its logs. */
export type Surroundings = {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly homeDir: string;
  readonly cwd: string;
};

/** One line, row or document of a log: what it is, and where it stands. */
export type FoundLine = { readonly place: string; readonly line: LogLine };

/** How the files of one import are opened. */
export type LogAccess = {
  /** The decompressed bytes. */
  readonly open: (file: LogFile) => AsyncIterable<Uint8Array>;
  /** When it was last written, RFC 3339. */
  readonly modifiedAt: (file: LogFile) => string;
  /** For what is not read through `open`: counts the file's bytes as read. */
  readonly skip: (file: LogFile) => void;
};

/** A coding agent whose logs can be imported. */
export type AgentLog = {
  /** Word of the command line, `source` of the events and their `data.agent`. */
  readonly name: string;
  readonly title: string;
  /** Where it keeps its logs when nobody says where: files or directories. */
  readonly places: (surroundings: Surroundings) => readonly string[];
  readonly isLog: (relativePath: string) => boolean;
  /** Files of a lower rank are read first; where absent, all have one rank. */
  readonly rank?: (path: string) => number;
  /** A reader for the files of one import, in the order in which they are read. */
  readonly createReader: (access: LogAccess) => (file: LogFile) => AsyncIterable<FoundLine>;
  /** Whether what the log has of a call is final, however young it is. */
  readonly isFinal: (call: AgentCall) => boolean;
  /** Why there are more lines than calls. */
  readonly repeats: string;
};

/** The directories of a comma list in an environment variable; `undefined` where it is not set. */
export function listed(text: string | undefined): readonly string[] | undefined {
  const directories = (text ?? '')
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '');
  return directories.length > 0 ? directories : undefined;
}
