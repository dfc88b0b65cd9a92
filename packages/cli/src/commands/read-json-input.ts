import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { CliError } from '../cli-error.ts';
import type { CommandContext } from '../command-context.ts';
import { EXIT_CODE } from '../exit-code.ts';

/** A JSON document from a file, or from standard input where none is named, or `-`. */
export async function readJsonInput(
  context: CommandContext,
  file: string | undefined,
  what: string,
  hint: string,
): Promise<unknown> {
  const text = file === undefined || file === '-' ? await readAll(context) : readFile(resolve(context.io.cwd, file));
  try {
    return JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CliError(EXIT_CODE.usage, `${what} is not JSON: ${reason}`, hint);
  }
}

function readFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new CliError(
      EXIT_CODE.usage,
      `cannot read ${path}: ${error instanceof Error ? error.message : String(error)}`,
      'Check the path and its permissions.',
    );
  }
}

/** Standard input as text. */
export async function readAll(context: CommandContext): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of context.io.readIn()) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}
