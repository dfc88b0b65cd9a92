import { z } from '@hono/zod-openapi';
import { BUILT_IN_METERS, builtInMeter, MONEY_METERS, USAGE_DIMENSIONS } from '../catalog/built-in-meters.ts';
import { isTimeZone } from '../catalog/billing-month.ts';
import { type Aggregation, groupName, meterSchema } from '../catalog/custom-meter.ts';
import { findMeter, listMeters } from '../catalog/index.ts';
import { formatInstant } from '../event/instant.ts';
import { externalId, instantInput, instantMicros } from '../http/wire.ts';
import { refuse } from '../http/problem.ts';
import { LIMITS } from '../limits.ts';
import type { Queryable } from '../store/database.ts';
import { badParameter } from './parameters.ts';
import { type UsageWindow, WINDOWS } from './usage-windows.ts';

const PARAMETER_LENGTH_MAX = 4_000;
const NAMES_MAX = 16;

export const usageQuery = z
  .object({
    meter: z.string().min(1).max(64).openapi({ example: 'output_tokens' }),
    from: instantInput
      .optional()
      .openapi({ description: 'Inclusive, a whole minute; 24 hours before `to` when left out' }),
    to: instantInput.optional().openapi({ description: 'Exclusive, a whole minute; now when left out' }),
    window: z.enum(WINDOWS).optional().openapi({ description: 'Without it one row a group covers the whole range' }),
    time_zone: z
      .string()
      .max(64)
      .refine(isTimeZone, 'not an IANA time zone, such as Europe/Athens')
      .optional()
      .openapi({ description: 'Where days and months begin; UTC when left out', example: 'Europe/Athens' }),
    group_by: z.string().max(PARAMETER_LENGTH_MAX).optional().openapi({ example: 'model,feature' }),
    customer: externalId.optional(),
    'filter[model]': z.string().max(PARAMETER_LENGTH_MAX).optional().openapi({
      description:
        'Values by comma, a trailing `*` for a prefix. Every dimension can be filtered by: `filter[feature]`, ...',
      example: 'gpt-5*,claude-opus-4-5',
    }),
  })
  .catchall(z.string().max(PARAMETER_LENGTH_MAX));

type UsageQuery = z.output<typeof usageQuery>;

const KNOWN = new Set(Object.keys(usageQuery.shape));
const FILTER = /^filter\[([^\]]{1,128})\]$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: PostgreSQL text cannot hold NUL, and no name needs the others
const CONTROL = /[\u0000-\u001f\u007f]/;

export type UsageMeter =
  | { readonly kind: 'built_in'; readonly key: string; readonly unit: string; readonly columns: readonly string[] }
  | {
      readonly kind: 'custom';
      readonly key: string;
      readonly unit: string;
      readonly id: bigint;
      readonly aggregation: Exclude<Aggregation, 'percentile'>;
      readonly groupNames: readonly string[];
    };

/** A dimension passes when it equals one of `values` or starts with one of `prefixes`. */
export type UsageFilter = {
  readonly dimension: string;
  readonly values: readonly string[];
  readonly prefixes: readonly string[];
};

/** A checked question: what /v1/usage answers. Instants in microseconds since 1970. */
export type UsageQuestion = {
  readonly meter: UsageMeter;
  readonly from: number;
  readonly to: number;
  readonly window: UsageWindow | undefined;
  readonly timeZone: string;
  readonly groupBy: readonly string[];
  readonly filters: readonly UsageFilter[];
  readonly customer: string | undefined;
};

/** @throws a problem that names the parameter at fault and what it may be. */
export async function usageQuestion(
  db: Queryable,
  environmentId: number,
  query: UsageQuery,
  now: number,
): Promise<UsageQuestion> {
  const meter = await usageMeter(db, environmentId, query.meter);
  const dimensions = ['customer', ...(meter.kind === 'built_in' ? USAGE_DIMENSIONS : meter.groupNames)];
  const asked = groupNames(query.group_by, meter, dimensions);
  if (query.time_zone !== undefined && query.window !== 'day' && query.window !== 'month') {
    throw badParameter(
      'time_zone',
      'only days and months are cut in a time zone',
      'leave it out, or ask for window=day',
    );
  }
  return {
    meter,
    ...usageRange(query, now),
    window: query.window,
    timeZone: query.time_zone ?? 'UTC',
    // Amounts of two currencies have no sum.
    groupBy: meter.key === 'charge' && !asked.includes('currency') ? [...asked, 'currency'] : asked,
    filters: filtersOf(query, meter, dimensions),
    customer: query.customer,
  };
}

async function usageMeter(db: Queryable, environmentId: number, key: string): Promise<UsageMeter> {
  const builtIn = builtInMeter(key);
  if (builtIn !== undefined) {
    const columns =
      builtIn.column === null
        ? BUILT_IN_METERS.flatMap(({ tokenClass, column }) =>
            tokenClass === undefined || column === null ? [] : column,
          )
        : [builtIn.column];
    return { kind: 'built_in', key, unit: builtIn.unit, columns };
  }
  const row = CONTROL.test(key) ? undefined : await findMeter(db, environmentId, key);
  if (row === undefined) {
    const own = await listMeters(db, environmentId);
    const known = [...BUILT_IN_METERS, ...MONEY_METERS, ...own].map((one) => one.key);
    throw badParameter('meter', `there is no meter ${JSON.stringify(key)}`, `one of ${known.join(', ')}`);
  }
  const spec = meterSchema.parse(row.spec);
  if (spec.aggregation === 'percentile') {
    throw badParameter(
      'meter',
      `${key} is a percentile, known only when a billing period closes`,
      'read the lines of the period',
    );
  }
  return {
    kind: 'custom',
    key,
    unit: spec.unit,
    id: row.id,
    aggregation: spec.aggregation,
    groupNames: [...new Set((spec.group_by ?? []).map(groupName))],
  };
}

/** The range asked for; 24 hours up to now when left out. */
export function usageRange(query: Pick<UsageQuery, 'from' | 'to'>, now: number): { from: number; to: number } {
  // The minute of now is in it, also where a sandbox's clock stands at its very beginning.
  const to = query.to === undefined ? (Math.floor(now / 60_000_000) + 1) * 60_000_000 : wholeMinute('to', query.to);
  const from = query.from === undefined ? to - 24 * 3_600_000_000 : wholeMinute('from', query.from);
  if (from >= to) {
    throw badParameter(
      'from',
      `${formatInstant(from)} is not before ${formatInstant(to)}`,
      'from is inclusive, to is not',
    );
  }
  return { from, to };
}

/** Usage is kept by the minute, so a range that cuts one has no exact answer. */
function wholeMinute(parameter: string, text: string): number {
  const micros = instantMicros(text);
  const start = Math.floor(micros / 60_000_000) * 60_000_000;
  if (start === micros) return micros;
  throw badParameter(
    parameter,
    'not a whole minute; usage is kept by the minute',
    `${formatInstant(start)} or ${formatInstant(start + 60_000_000)}`,
  );
}

function groupNames(text: string | undefined, meter: UsageMeter, dimensions: readonly string[]): readonly string[] {
  if (text === undefined || text === '') return [];
  const names = text.split(',').map((name) => name.trim());
  for (const name of names) if (!dimensions.includes(name)) throw unknownDimension('group_by', name, meter, dimensions);
  if (new Set(names).size < names.length)
    throw badParameter('group_by', 'a dimension is named twice', 'name each once');
  return names;
}

function filtersOf(query: UsageQuery, meter: UsageMeter, dimensions: readonly string[]): readonly UsageFilter[] {
  const filters: UsageFilter[] = [];
  for (const [parameter, text] of Object.entries(query)) {
    const dimension = FILTER.exec(parameter)?.[1];
    if (dimension === undefined) {
      if (KNOWN.has(parameter)) continue;
      throw refuse('invalid_request', 'a parameter is not known', [
        {
          parameter: parameter.slice(0, 128),
          detail: 'unknown parameter',
          remedy: 'filters are written filter[model]=',
        },
      ]);
    }
    if (!dimensions.includes(dimension)) throw unknownDimension(parameter, dimension, meter, dimensions);
    if (text !== undefined) filters.push(filterOf(parameter, dimension, text));
  }
  if (filters.length > NAMES_MAX) throw refuse('invalid_request', `at most ${NAMES_MAX} filters`);
  return filters;
}

function filterOf(parameter: string, dimension: string, text: string): UsageFilter {
  const wanted = text.split(',');
  for (const value of wanted) {
    if (value === '' || value.length > LIMITS.nameLengthMax || CONTROL.test(value) || !value.isWellFormed()) {
      throw badParameter(
        parameter,
        'holds a value that no dimension can have',
        'values by comma; a trailing * is a prefix',
      );
    }
  }
  return {
    dimension,
    values: wanted.filter((value) => !value.endsWith('*')),
    prefixes: wanted.filter((value) => value.endsWith('*')).map((value) => value.slice(0, -1)),
  };
}

function unknownDimension(parameter: string, name: string, meter: UsageMeter, dimensions: readonly string[]) {
  const detail = `the meter ${meter.key} has no dimension ${JSON.stringify(name.slice(0, 128))}`;
  return badParameter(parameter, detail, `one of ${dimensions.join(', ')}`);
}
