import { z } from '@hono/zod-openapi';
import { formatInstant } from '../event/instant.ts';
import type { AppServices } from '../http/context.ts';
import { type App, readRoute } from '../http/operation.ts';
import { refuse } from '../http/problem.ts';
import { decimalOutput, instantOutput, instantText } from '../http/wire.ts';
import { LIMITS } from '../limits.ts';
import { isTooSlow, type Queryable } from '../store/database.ts';
import { type UsageQuestion, usageQuery, usageQuestion } from './usage-question.ts';
import { type UsageRow, usageStatement } from './usage-statement.ts';
import { WINDOWS, windowStarts } from './usage-windows.ts';

const usageAnswer = z
  .strictObject({
    meter: z.string(),
    unit: z.string().openapi({ description: '`currency` for `charge`: the group says which' }),
    from: instantOutput,
    to: instantOutput,
    window: z.enum(WINDOWS).nullable(),
    rows: z.array(
      z.strictObject({
        window_start: instantOutput.openapi({ description: '`from` where no window was asked for' }),
        group: z.record(z.string(), z.string().nullable()).openapi({ description: 'Null: the usage named none' }),
        value: decimalOutput,
      }),
    ),
  })
  .openapi('Usage');

export function registerUsageRoute(app: App, services: AppServices): void {
  const { pool } = services.database;
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/usage',
      operationId: 'getUsage',
      tag: 'Usage',
      scope: 'usage:read',
      summary: 'Usage of a meter',
      description:
        'Exact sums by window and group, of one instant. Meters are the built-in ones, your own, and the money meters `charge` (always grouped by currency) and `provider_cost`. A window without usage has no row.',
      query: usageQuery,
      answer: usageAnswer,
    },
    async ({ environmentId, query }) => {
      const question = await usageQuestion(pool, environmentId, query, services.clocks.now(environmentId));
      return answerUsage(pool, environmentId, question);
    },
  );
}

async function answerUsage(db: Queryable, environmentId: number, question: UsageQuestion) {
  const { meter, window, timeZone, from, to } = question;
  const isDense = meter.kind === 'custom' && meter.aggregation === 'weighted_sum';
  const starts = window === undefined ? undefined : windowStarts(window, timeZone, from, to, LIMITS.usageRowsMax);
  // Only a time-weighted sum has a row for every window; of the others many may be empty.
  if (starts !== undefined && starts.length > LIMITS.usageRowsMax && (isDense || window === 'day')) throw tooManyRows();
  const rows = await runBounded(db, environmentId, question, starts);
  if (rows.length > LIMITS.usageRowsMax) throw tooManyRows();
  return {
    meter: meter.key,
    unit: meter.unit,
    from: formatInstant(from),
    to: formatInstant(to),
    window: window ?? null,
    rows: rows.map((row) => ({
      window_start: row.window_start === null ? formatInstant(from) : instantText(row.window_start),
      group: Object.fromEntries(question.groupBy.map((name, index) => [name, row[`g${index}`] ?? null])),
      value: row.value,
    })),
  };
}

async function runBounded(
  db: Queryable,
  environmentId: number,
  question: UsageQuestion,
  starts: readonly number[] | undefined,
): Promise<UsageRow[]> {
  const { text, values } = usageStatement(environmentId, question, starts);
  try {
    const result = await db.query<UsageRow>(text, [...values]);
    return result.rows;
  } catch (error) {
    if (isTooSlow(error)) {
      throw refuse('invalid_request', 'the answer took too long; ask for a shorter range or one customer');
    }
    throw error;
  }
}

function tooManyRows() {
  return refuse('invalid_request', `the answer has more than ${LIMITS.usageRowsMax} rows`, [
    {
      parameter: 'window',
      detail: 'too many rows',
      remedy: 'ask for a shorter range, a longer window or fewer groups',
    },
  ]);
}
