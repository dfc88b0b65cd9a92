import { LIMITS } from '../limits.ts';
import type { Queryable } from '../store/database.ts';
import { instantArray } from '../store/pg-arrays.ts';
import { StatementValues } from './parameters.ts';

export type PerTokenQuestion = {
  readonly from: number;
  readonly to: number;
  readonly groupBy: readonly string[];
  readonly customer: string | undefined;
};

/** Decimal text each, but for the dimensions g0, g1, ... */
export type PerTokenRow = {
  readonly is_measured: boolean;
  readonly requests: string;
  readonly new_tokens: string;
  readonly cached_tokens: string;
  readonly output_tokens: string;
  readonly flops: string;
  readonly accelerator_seconds: string;
  readonly compute_units: string;
} & { readonly [Name in `g${number}`]: string | null };

const NEW = [
  ...['input_tokens', 'tool_use_tokens', 'cache_write_5m_tokens', 'cache_write_1h_tokens'],
  ...['input_audio_tokens', 'input_image_tokens', 'input_video_tokens'],
];
const OUTPUT = [
  ...['output_tokens', 'reasoning_tokens', 'hidden_output_tokens'],
  ...['output_audio_tokens', 'output_image_tokens'],
];

function sumOf(columns: readonly string[]): string {
  return `trim_scale(coalesce(sum(${columns.map((column) => `coalesce(r.${column}, 0)`).join(' + ')}), 0)::numeric)::text`;
}

/**
 * Tokens and work of calls by group, those whose work was counted apart from those whose was not: only counted calls carry the
 * length of their prompt. One snapshot of the rollups, one row more than an answer may hold.
 */
export async function readPerToken(
  db: Queryable,
  environmentId: number,
  question: PerTokenQuestion,
): Promise<PerTokenRow[]> {
  const values = new StatementValues();
  const environment = values.add(environmentId, 'int4');
  const range = values.add(instantArray([question.from, question.to]), 'timestamptz[]');
  const groups = question.groupBy.map((name) =>
    name === 'customer' ? 'c.external_id' : `(d.dimensions ->> ${values.add(name, 'text')})`,
  );
  const customer =
    question.customer === undefined ? '' : `and c.external_id = ${values.add(question.customer, 'text')}`;
  const positions = [1, ...groups.map((_, index) => index + 2)].join(', ');
  const result = await db.query<PerTokenRow>(
    `select d.dimensions ? 'context_length' as is_measured, ${groups.map((group, index) => `${group} as g${index}, `).join('')}
       ${sumOf(['requests'])} as requests, ${sumOf(NEW)} as new_tokens, ${sumOf(['cache_read_tokens'])} as cached_tokens,
       ${sumOf(OUTPUT)} as output_tokens, ${sumOf(['flops'])} as flops,
       ${sumOf(['accelerator_seconds'])} as accelerator_seconds, ${sumOf(['compute_units'])} as compute_units
     from usage_rollup r
       join dimension_set d on d.environment_id = r.environment_id and d.id = r.dimension_set_id
       left join customer c on c.environment_id = r.environment_id and c.id = r.customer_id
     where r.environment_id = ${environment} and r.minute >= (${range})[1] and r.minute < (${range})[2]
       and d.dimensions ->> 'type' in ('llm.call', 'embedding.call') ${customer}
     group by ${positions} order by ${positions} limit ${LIMITS.usageRowsMax + 1}`,
    [...values.values],
  );
  return result.rows;
}
