import type { SessionFile, SessionReader } from '@ergon/usage';
import { readLines } from '../read-lines.ts';
import type { FoundLine, LogAccess, LogFile } from './agent-log.ts';

/** A log of JSON lines through a reader that keeps the state of one session between them. */
export async function* sessionLines(
  file: LogFile,
  access: LogAccess,
  create: (session: SessionFile) => SessionReader,
): AsyncGenerator<FoundLine> {
  const reader = create(sessionFile(file, access));
  for await (const line of readLines(access.open(file))) {
    const place = `${file.relativePath}:${line.number}`;
    if (!line.ok) {
      yield { place, line: { kind: 'dropped', reason: line.detail } };
      continue;
    }
    for (const found of reader.add(line.text)) yield { place, line: found };
  }
  for (const found of reader.finish()) yield { place: file.relativePath, line: found };
}

/** What the file's path and age say of its session. */
export function sessionFile(file: LogFile, access: LogAccess): SessionFile {
  return {
    sessionId: file.relativePath.replace(/\.jsonl?(\.gz|\.zst)?$/, ''),
    modifiedAt: access.modifiedAt(file),
  };
}
