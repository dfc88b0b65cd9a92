import { add, compare, type Decimal, decimal, divide, isZero, sum, toText, ZERO } from '@ergon/exact';
import { z } from '@hono/zod-openapi';
import { USAGE_DIMENSIONS } from '../catalog/built-in-meters.ts';
import { formatInstant } from '../event/instant.ts';
import type { AppServices } from '../http/context.ts';
import { type App, readRoute } from '../http/operation.ts';
import { refuse } from '../http/problem.ts';
import { decimalOutput, externalId, instantInput, instantOutput } from '../http/wire.ts';
import { LIMITS } from '../limits.ts';
import { badParameter } from './parameters.ts';
import { type PerTokenRow, readPerToken } from './per-token-statement.ts';
import { usageRange } from './usage-question.ts';

const DIMENSIONS: readonly string[] = ['customer', ...USAGE_DIMENSIONS.filter((name) => name !== 'currency')];

const query = z.strictObject({
  from: instantInput
    .optional()
    .openapi({ description: 'Inclusive, a whole minute; 24 hours before `to` when left out' }),
  to: instantInput.optional().openapi({ description: 'Exclusive, a whole minute; now when left out' }),
  group_by: z
    .string()
    .max(500)
    .default('feature,model,context_length')
    .openapi({
      description: `By comma, of ${DIMENSIONS.join(', ')}`,
    }),
  customer: externalId.optional(),
});

const group = z.record(z.string(), z.string().nullable());

const totals = {
  requests: decimalOutput,
  tokens: z.strictObject({
    new: decimalOutput,
    cached: decimalOutput,
    output: decimalOutput,
    total: decimalOutput,
  }),
};

const work = {
  ...totals,
  flops: decimalOutput,
  accelerator_seconds: decimalOutput,
  compute_units: decimalOutput,
  flops_per_token: decimalOutput.nullable(),
};

const answer = z
  .strictObject({
    from: instantOutput,
    to: instantOutput,
    rows: z.array(
      z.strictObject({
        group,
        ...work,
        relative_work: decimalOutput
          .nullable()
          .openapi({ description: "FLOPs per token against all measured tokens' mean: what a flat token price hides" }),
      }),
    ),
    overall: z.strictObject(work),
    spread: decimalOutput
      .nullable()
      .openapi({ description: 'Highest / lowest FLOPs per token among the rows: equal tokens, unequal work' }),
    unmeasured: z
      .array(z.strictObject({ group, ...totals }))
      .openapi({ description: 'Calls whose work was not counted: closed models, families without a tested rule' }),
  })
  .openapi('WorkPerToken');
type Answer = z.infer<typeof answer>;

export function registerPerTokenRoute(app: App, services: AppServices): void {
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/compute/per_token',
      operationId: 'getWorkPerToken',
      tag: 'Compute',
      scope: 'usage:read',
      summary: 'Work per token: where tokens mislead',
      description:
        'FLOPs per token by feature, model and prompt length, the dearest first. Tokens are all of a call: new, cached and output.',
      query,
      answer,
    },
    async ({ environmentId, query: { group_by, customer, ...asked } }) => {
      const range = usageRange(asked, services.clocks.now(environmentId));
      const groupBy = groupNames(group_by);
      const rows = await readPerToken(services.database.pool, environmentId, { ...range, groupBy, customer });
      if (rows.length > LIMITS.usageRowsMax) throw refuse('invalid_request', 'too many rows; group by less');
      return { from: formatInstant(range.from), to: formatInstant(range.to), ...describe(rows, groupBy) };
    },
  );
}

function groupNames(text: string): readonly string[] {
  const names = text === '' ? [] : text.split(',').map((name) => name.trim());
  const unknown = names.find((name) => !DIMENSIONS.includes(name));
  if (unknown !== undefined) {
    const detail = `there is no dimension ${JSON.stringify(unknown.slice(0, 128))}`;
    throw badParameter('group_by', detail, `one of ${DIMENSIONS.join(', ')}`);
  }
  if (new Set(names).size === names.length) return names;
  throw badParameter('group_by', 'a dimension is named twice', 'name each once');
}

type Sums = {
  readonly requests: Decimal;
  readonly fresh: Decimal;
  readonly cached: Decimal;
  readonly output: Decimal;
  readonly tokens: Decimal;
  readonly flops: Decimal;
  readonly seconds: Decimal;
  readonly units: Decimal;
};

function describe(rows: readonly PerTokenRow[], groupBy: readonly string[]): Omit<Answer, 'from' | 'to'> {
  const groupOf = (row: PerTokenRow) =>
    Object.fromEntries(groupBy.map((name, index) => [name, row[`g${index}`] ?? null]));
  const measured = rows
    .filter((row) => row.is_measured)
    .map((row) => ({ group: groupOf(row), sums: sumsOf(row) }))
    .map((row) => ({ ...row, perToken: quotient(row.sums.flops, row.sums.tokens, 3) }))
    .sort((one, other) => compare(other.perToken ?? ZERO, one.perToken ?? ZERO));
  const overall = measured.map(({ sums }) => sums).reduce(added, NOTHING);
  const mean = quotient(overall.flops, overall.tokens, 3);
  const known = measured.flatMap(({ perToken }) => perToken ?? []);
  const [highest, lowest] = [known[0], known.at(-1)];
  const spread = highest === undefined || lowest === undefined ? undefined : quotient(highest, lowest, 6);
  return {
    rows: measured.map((row) => ({
      group: row.group,
      ...workText(row.sums),
      relative_work: textOrNull(row.perToken && mean && quotient(row.perToken, mean, 6)),
    })),
    overall: workText(overall),
    spread: textOrNull(spread),
    unmeasured: rows
      .filter((row) => !row.is_measured)
      .map((row) => ({ group: groupOf(row), ...totalsText(sumsOf(row)) })),
  };
}

const NOTHING: Sums = {
  requests: ZERO,
  fresh: ZERO,
  cached: ZERO,
  output: ZERO,
  tokens: ZERO,
  flops: ZERO,
  seconds: ZERO,
  units: ZERO,
};

function sumsOf(row: PerTokenRow): Sums {
  const [fresh, cached, output] = [row.new_tokens, row.cached_tokens, row.output_tokens].map((text) => decimal(text));
  const parts = { fresh: fresh ?? ZERO, cached: cached ?? ZERO, output: output ?? ZERO };
  return {
    ...parts,
    requests: decimal(row.requests),
    tokens: sum(Object.values(parts)),
    flops: decimal(row.flops),
    seconds: decimal(row.accelerator_seconds),
    units: decimal(row.compute_units),
  };
}

function added(one: Sums, other: Sums): Sums {
  return {
    requests: add(one.requests, other.requests),
    fresh: add(one.fresh, other.fresh),
    cached: add(one.cached, other.cached),
    output: add(one.output, other.output),
    tokens: add(one.tokens, other.tokens),
    flops: add(one.flops, other.flops),
    seconds: add(one.seconds, other.seconds),
    units: add(one.units, other.units),
  };
}

function totalsText(sums: Sums) {
  return {
    requests: toText(sums.requests),
    tokens: {
      new: toText(sums.fresh),
      cached: toText(sums.cached),
      output: toText(sums.output),
      total: toText(sums.tokens),
    },
  };
}

function workText(sums: Sums) {
  return {
    ...totalsText(sums),
    flops: toText(sums.flops),
    accelerator_seconds: toText(sums.seconds),
    compute_units: toText(sums.units),
    flops_per_token: textOrNull(quotient(sums.flops, sums.tokens, 3)),
  };
}

/** `undefined` where there is nothing to divide by. A void may have brought a group back to nothing. */
function quotient(whole: Decimal, part: Decimal, places: number): Decimal | undefined {
  return isZero(part) ? undefined : divide(whole, part, { places, mode: 'half-away-from-zero' });
}

function textOrNull(value: Decimal | undefined): string | null {
  return value === undefined ? null : toText(value);
}
