import { type Decimal, decimal } from '@ergon/exact';
import { formatInstant } from '../event/instant.ts';
import type { Queryable } from '../store/database.ts';
import { usageQuestion } from './usage-question.ts';
import { type UsageRow, usageStatement } from './usage-statement.ts';

const MINUTE = 60_000_000;

/** What /v1/usage answers for one customer and meter without windows: a single number. Usage is kept by the minute. */
export async function meterTotal(
  db: Queryable,
  environmentId: number,
  at: {
    readonly meter: string;
    readonly customer: string;
    /** Only events tagged with it. */
    readonly feature: string | undefined;
    readonly from: number;
    readonly to: number;
  },
): Promise<Decimal> {
  const from = Math.floor(at.from / MINUTE) * MINUTE;
  const query = {
    meter: at.meter,
    customer: at.customer,
    from: formatInstant(from),
    to: formatInstant(Math.max(Math.ceil(at.to / MINUTE) * MINUTE, from + MINUTE)),
    ...(at.feature !== undefined && { 'filter[feature]': at.feature }),
  };
  const question = await usageQuestion(db, environmentId, query, at.to);
  const { text, values } = usageStatement(environmentId, question, undefined);
  const result = await db.query<UsageRow>(text, [...values]);
  return decimal(result.rows[0]?.value ?? '0');
}
