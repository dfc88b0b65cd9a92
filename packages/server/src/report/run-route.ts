import { z } from '@hono/zod-openapi';
import type { AppServices } from '../http/context.ts';
import { type App, readRoute } from '../http/operation.ts';
import { refuse } from '../http/problem.ts';
import { decimalOutput, externalId, instantOutput, instantText } from '../http/wire.ts';
import { LIMITS } from '../limits.ts';
import { RUN_QUANTITIES } from '../record/run-columns.ts';
import { type RunQuantity, type RunRow, type RunSums, readRunTree } from './run-tree.ts';

const counts = Object.fromEntries(RUN_QUANTITIES.map((name) => [name, decimalOutput])) as Record<
  RunQuantity,
  typeof decimalOutput
>;

const totalsAnswer = z
  .strictObject({
    ...counts,
    charge: decimalOutput.nullable().openapi({ description: 'Null where there are several currencies: see `charges`' }),
    currency: z.string().nullable(),
    charges: z.array(z.strictObject({ currency: z.string().nullable(), amount: decimalOutput })),
    provider_cost: decimalOutput.openapi({ description: 'In USD' }),
  })
  .openapi('RunTotals');

const runFields = {
  id: z.string(),
  parent_run_id: z.string().nullable(),
  customer: z.string().nullable(),
  agent: z.string().nullable(),
  first_at: instantOutput,
  last_at: instantOutput,
  totals: totalsAnswer,
  subtree_totals: totalsAnswer.openapi({ description: 'The run and everything below it' }),
};

type Totals = z.infer<typeof totalsAnswer>;
type RunNode = {
  id: string;
  parent_run_id: string | null;
  customer: string | null;
  agent: string | null;
  first_at: string;
  last_at: string;
  totals: Totals;
  subtree_totals: Totals;
  children: RunNode[];
};

const runNode: z.ZodType<RunNode> = z
  .lazy(() => z.strictObject({ ...runFields, children: z.array(runNode) }))
  .openapi('Run');

const runAnswer = z
  .strictObject({
    ...runFields,
    children: z.array(runNode),
    truncated: z.boolean().openapi({
      description: `The tree has more than ${LIMITS.runTreeMax} runs, of which those nearest the root are listed; sums are of all`,
    }),
  })
  .openapi('RunTree');

export function registerRunRoute(app: App, services: AppServices): void {
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/runs/{id}',
      operationId: 'getRun',
      tag: 'Usage',
      scope: 'usage:read',
      summary: 'Get the tree of an agent run',
      description: 'What the run used and cost by itself, and with every run below it.',
      params: z.strictObject({ id: externalId }),
      answer: runAnswer,
      problems: ['not_found'],
    },
    async ({ environmentId, params: { id } }) => {
      const rows = await readRunTree(services.database.pool, environmentId, id);
      const root = treeOf(rows);
      if (root === undefined) throw refuse('not_found', `there is no run ${id}`);
      return { ...root, truncated: Number(rows[0]?.tree_size ?? 0n) > rows.length };
    },
  );
}

/** Rows come nearest the root first, so that a parent is there before its children. */
function treeOf(rows: readonly RunRow[]): RunNode | undefined {
  const nodes = new Map<string, RunNode>();
  let root: RunNode | undefined;
  for (const row of rows) {
    const node = nodeOf(row);
    nodes.set(row.id, node);
    if (root === undefined) root = node;
    else nodes.get(row.parent_id ?? '')?.children.push(node);
  }
  return root;
}

function nodeOf(row: RunRow): RunNode {
  return {
    id: row.id,
    parent_run_id: row.parent_id,
    customer: row.customer,
    agent: row.agent,
    first_at: instantText(row.first_at),
    last_at: instantText(row.last_at),
    totals: totalsOf(row.own),
    subtree_totals: totalsOf(row.subtree),
    children: [],
  };
}

function totalsOf(sums: RunSums): Totals {
  const [only, ...more] = sums.charges;
  const isOne = more.length === 0;
  return {
    requests: sums.requests,
    errors: sums.errors,
    retries: sums.retries,
    input_tokens: sums.input_tokens,
    cached_tokens: sums.cached_tokens,
    output_tokens: sums.output_tokens,
    tool_calls: sums.tool_calls,
    flops: sums.flops,
    hbm_bytes: sums.hbm_bytes,
    accelerator_seconds: sums.accelerator_seconds,
    accelerator_seconds_allocated: sums.accelerator_seconds_allocated,
    accelerator_seconds_reported: sums.accelerator_seconds_reported,
    compute_units: sums.compute_units,
    physical_cost: sums.physical_cost,
    charge: isOne ? (only?.amount ?? '0') : null,
    currency: isOne ? (only?.currency ?? null) : null,
    charges: [...sums.charges],
    provider_cost: sums.provider_cost,
  };
}
