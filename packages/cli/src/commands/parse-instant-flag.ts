import { CliError } from '../cli-error.ts';
import { EXIT_CODE } from '../exit-code.ts';

/** The instant that a person means: a day is its midnight in UTC, a time without seconds is UTC as well. */
export function parseInstantFlag(text: string, flag: string): string {
  if (/^\d{4}-\d{2}-\d{2}$/.test(text)) return `${text}T00:00:00Z`;
  if (/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}$/.test(text)) return `${text}:00Z`;
  if (/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/.test(text)) return text;
  throw new CliError(
    EXIT_CODE.usage,
    `${flag} ${JSON.stringify(text)} is no time`,
    'Expected 2026-11-01 or 2026-11-01T10:00:00Z (UTC).',
  );
}
