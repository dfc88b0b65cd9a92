import type { ImportEvent } from './item.ts';
import type { Issue } from './send-items.ts';

/** The first issues of each kind, for the summary; an import of millions keeps no more. */
export type IssueLog = {
  readonly add: (issue: Issue) => void;
  /** `place: what is wrong`, the first ones of unreadable and refused records. */
  readonly lines: () => readonly string[];
  readonly conflicts: () => readonly ImportEvent[];
};

const LINES_MAX = 20;
/** Each is looked up once at the end. */
const CONFLICTS_MAX = 500;

/** @param keep told of every issue, for `--rejects` */
export function createIssueLog(keep: ((record: unknown) => void) | undefined): IssueLog {
  const lines: string[] = [];
  const conflicts: ImportEvent[] = [];
  return {
    add: (issue) => {
      keep?.(toRecord(issue));
      if (issue.kind === 'conflict') {
        if (conflicts.length < CONFLICTS_MAX) conflicts.push(issue.event);
      } else if (lines.length < LINES_MAX) {
        const place = issue.kind === 'unreadable' ? issue.place : issue.event.place;
        lines.push(`${place}: ${issue.kind === 'unreadable' ? issue.detail : `${issue.code}: ${issue.detail}`}`);
      }
    },
    lines: () => lines,
    conflicts: () => conflicts,
  };
}

function toRecord(issue: Issue): unknown {
  if (issue.kind === 'unreadable') return { kind: issue.kind, place: issue.place, detail: issue.detail };
  const { place, source, id, line } = issue.event;
  const event: unknown = JSON.parse(line);
  if (issue.kind === 'conflict') return { kind: issue.kind, place, source, id, event };
  return { kind: issue.kind, place, source, id, code: issue.code, detail: issue.detail, event };
}
