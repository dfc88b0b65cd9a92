import { type Decimal, decimal, parseDecimal } from '@ergon/exact';
import { z } from '@hono/zod-openapi';
import { ExactNumber } from '../event/canonical.ts';
import type { CapturedEvent } from '../event/event.ts';

export const AGGREGATIONS = [
  'count',
  'sum',
  'max',
  'min',
  'avg',
  'unique',
  'latest',
  'weighted_sum',
  'percentile',
] as const;
export type Aggregation = (typeof AGGREGATIONS)[number];

const path = z
  .string()
  .regex(
    /^(type|source|subject|data(\.[A-Za-z0-9_-]{1,64}){1,6})$/,
    'a path such as data.properties.seconds, type, source or subject',
  );

export const meterSchema = z
  .strictObject({
    event_types: z.array(z.string().min(1).max(256)).min(1).max(20),
    aggregation: z.enum(AGGREGATIONS),
    value: path.optional(),
    percentile: z
      .string()
      .regex(/^(0\.\d{1,6}|1(\.0{1,6})?)$/, 'a part above 0 and up to 1, such as "0.95"')
      .refine((text) => !/^0\.0+$/.test(text), 'must be above zero')
      .optional()
      .openapi({ description: 'Of the aggregation percentile: "0.95" is the 95th', example: '0.95' }),
    filter: z.record(path, z.union([z.string().max(256), z.array(z.string().max(256)).min(1).max(50)])).optional(),
    group_by: z.array(path).max(8).optional(),
    unit: z.string().min(1).max(32).default('unit'),
    name: z.string().max(256).optional(),
  })
  .refine((meter) => meter.aggregation === 'count' || meter.value !== undefined, {
    path: ['value'],
    message: 'every aggregation but count needs the path of its value',
  })
  .refine((meter) => (meter.aggregation === 'percentile') === (meter.percentile !== undefined), {
    path: ['percentile'],
    message: 'the aggregation percentile, and no other, says which percentile',
  });

export type MeterSpec = z.infer<typeof meterSchema>;

/** What one event gives to one custom meter. */
export type Contribution = {
  readonly meter: CompiledMeter;
  /** `undefined` for count and unique. */
  readonly value: Decimal | undefined;
  /** For unique: the value's text. */
  readonly distinct: string | undefined;
  readonly group: Readonly<Record<string, string>>;
};

/** The part of an event that a meter's paths lead into. */
type MeteredEvent = Pick<CapturedEvent, 'type' | 'source' | 'subject' | 'data'>;

export type CompiledMeter = {
  readonly id: number;
  readonly key: string;
  readonly unit: string;
  readonly aggregation: Aggregation;
  /** Names by which usage of this meter can be grouped: the last segment of each path. */
  readonly groupNames: readonly string[];
  /** `undefined`: the event is not this meter's; `'no_value'`: it is, but carries no usable value. */
  read(event: MeteredEvent): Contribution | 'no_value' | undefined;
};

type Path = readonly string[];

export function groupName(text: string): string {
  return text.slice(text.lastIndexOf('.') + 1);
}

export function compileMeter(id: number, key: string, spec: MeterSpec): CompiledMeter {
  const types = new Set(spec.event_types);
  const valuePath = spec.value?.split('.');
  const filters = Object.entries(spec.filter ?? {}).map(([text, wanted]) => ({
    path: text.split('.'),
    wanted: new Set(typeof wanted === 'string' ? [wanted] : wanted),
  }));
  const groups = (spec.group_by ?? []).map((text) => ({ name: groupName(text), path: text.split('.') }));
  const meter: CompiledMeter = {
    id,
    key,
    unit: spec.unit,
    aggregation: spec.aggregation,
    groupNames: groups.map((group) => group.name),
    read(event) {
      if (!types.has(event.type)) return undefined;
      for (const filter of filters) {
        const found = scalarText(valueAt(event, filter.path));
        if (found === undefined || !filter.wanted.has(found)) return undefined;
      }
      const group: Record<string, string> = {};
      for (const one of groups) {
        const found = scalarText(valueAt(event, one.path));
        if (found !== undefined) group[one.name] = found.slice(0, 256);
      }
      if (spec.aggregation === 'count') return { meter, value: undefined, distinct: undefined, group };
      const raw = valuePath === undefined ? undefined : valueAt(event, valuePath);
      if (spec.aggregation === 'unique') {
        const distinct = scalarText(raw);
        return distinct === undefined ? 'no_value' : { meter, value: undefined, distinct, group };
      }
      const value = quantityOf(raw);
      return value === undefined ? 'no_value' : { meter, value, distinct: undefined, group };
    },
  };
  return meter;
}

function valueAt(event: MeteredEvent, path: Path): unknown {
  const [root] = path;
  if (root === 'type') return event.type;
  if (root === 'source') return event.source;
  if (root === 'subject') return event.subject;
  let value: unknown = event.data;
  for (let index = 1; index < path.length; index++) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    const name = path[index] ?? '';
    value = Object.hasOwn(value, name) ? (value as Readonly<Record<string, unknown>>)[name] : undefined;
  }
  return value;
}

export function scalarText(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  return value instanceof ExactNumber ? value.text : undefined;
}

/** Quantities are bounded so that no sum of them passes what `numeric` and the ledger hold. */
const QUANTITY_DIGITS_MAX = 24;
const QUANTITY_SCALE_MAX = 18;

/** A quantity from a JSON number or decimal text; `undefined` when it is none, or has more than 24 + 18 digits. */
export function quantityOf(value: unknown): Decimal | undefined {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return decimal(value);
  const text = typeof value === 'number' ? String(value) : value instanceof ExactNumber ? value.text : value;
  if (typeof text !== 'string') return undefined;
  const parsed = parseDecimal(text);
  if (parsed === undefined || parsed.scale > QUANTITY_SCALE_MAX) return undefined;
  return parsed.coefficient.toString().length - parsed.scale > QUANTITY_DIGITS_MAX ? undefined : parsed;
}
