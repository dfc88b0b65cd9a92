import pc from 'picocolors';
import type { CliIo } from '../io.ts';

export type Style = ReturnType<typeof pc.createColors>;

/** Colours for standard output: only on a terminal, and never with NO_COLOR (no-color.org). */
export function createStyle(io: CliIo): Style {
  return pc.createColors(io.isOutTty && (io.env['NO_COLOR'] ?? '') === '');
}
