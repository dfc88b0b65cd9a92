import { CliError } from '../../cli-error.ts';
import { EXIT_CODE } from '../../exit-code.ts';
import { convertValue } from '../csv/convert-value.ts';
import { parseAssignment } from '../csv/mapping.ts';
import type { FixedData } from './to-event.ts';

/** What `--set` gives to every event. @throws CliError for what only the log can tell. */
export function fixedData(texts: readonly string[]): FixedData {
  const data: Record<string, unknown> = {};
  const properties: Record<string, unknown> = {};
  for (const text of texts) {
    const parsed = parseAssignment(text, 'value');
    if (!parsed.ok) throw new CliError(EXIT_CODE.usage, parsed.detail);
    const { target, from } = parsed.assignment;
    const [head, name] = target.kind === 'data' ? target.path : [];
    if (target.kind !== 'data' || head === undefined || !('value' in from) || TAKEN.has(head)) {
      throw new CliError(
        EXIT_CODE.usage,
        `--set ${text}: the log gives this`,
        'Set user, team, feature, work_item or properties.NAME.',
      );
    }
    const converted = convertValue(from.value, target.type);
    if (!converted.ok) throw new CliError(EXIT_CODE.usage, `--set ${text}: ${converted.detail}`);
    if (head === 'properties' && name !== undefined) properties[name] = converted.value;
    else data[head] = converted.value;
  }
  return Object.keys(properties).length > 0 ? { ...data, properties } : data;
}

/** What the log itself says of a call. */
const TAKEN: ReadonlySet<string> = new Set([
  'provider',
  'api',
  'model',
  'usage',
  'tokens',
  'quality',
  'prompt_summed',
  'run_id',
  'parent_run_id',
]);
