import { type Decimal, add, toText, ZERO } from '@ergon/exact';
import { ledgerDecimal } from '../ledger/burn.ts';
import { LIMITS } from '../limits.ts';
import type { Queryable } from '../store/database.ts';
import { instantArray, int8Array, textArray } from '../store/pg-arrays.ts';
import type { PreparedEvent } from './prepare.ts';
import { RUN_COUNTS, RUN_DECIMALS } from './run-columns.ts';

type CountName = (typeof RUN_COUNTS)[number];
type DecimalName = (typeof RUN_DECIMALS)[number];

const DECIMAL_NAMES: ReadonlyMap<string, DecimalName> = new Map(RUN_DECIMALS.map((name) => [name, name]));

const COUNT_OF_METER: Readonly<Record<string, CountName>> = {
  requests: 'requests',
  errors: 'errors',
  retries: 'retries',
  tool_calls: 'tool_calls',
  input_tokens: 'input_tokens',
  tool_use_tokens: 'input_tokens',
  cache_write_5m_tokens: 'input_tokens',
  cache_write_1h_tokens: 'input_tokens',
  input_audio_tokens: 'input_tokens',
  input_image_tokens: 'input_tokens',
  input_video_tokens: 'input_tokens',
  cache_read_tokens: 'cached_tokens',
  output_tokens: 'output_tokens',
  reasoning_tokens: 'output_tokens',
  hidden_output_tokens: 'output_tokens',
  rejected_prediction_tokens: 'output_tokens',
  output_audio_tokens: 'output_tokens',
  output_image_tokens: 'output_tokens',
};

type RunSum = {
  readonly id: string;
  parentId: string | undefined;
  readonly customerId: number | null;
  agent: string | undefined;
  firstAt: number;
  lastAt: number;
  readonly counts: Record<CountName, number>;
  /** Absent is zero. */
  readonly decimals: Partial<Record<DecimalName, Decimal>>;
  charge: bigint;
  currency: string | undefined;
  providerCost: Decimal;
};

/** What one transaction adds to each agent run it saw. */
export class RunSums {
  readonly #runs = new Map<string, RunSum>();

  get isEmpty(): boolean {
    return this.#runs.size === 0;
  }

  add(
    event: PreparedEvent,
    customerId: number,
    charge: bigint,
    currency: string | undefined,
    cost: Decimal | null,
    sign: 1 | -1 = 1,
  ): void {
    const { data, occurredAt } = event.event;
    if (typeof data.run_id !== 'string') return;
    let run = this.#runs.get(data.run_id);
    if (run === undefined) {
      run = emptyRun(data.run_id, customerId, occurredAt);
      this.#runs.set(run.id, run);
    }
    run.firstAt = Math.min(run.firstAt, occurredAt);
    run.lastAt = Math.max(run.lastAt, occurredAt);
    if (typeof data.parent_run_id === 'string' && data.parent_run_id !== run.id) run.parentId ??= data.parent_run_id;
    if (typeof data.agent === 'string') run.agent ??= data.agent;
    run.currency ??= currency;
    run.charge += charge;
    if (cost !== null) run.providerCost = add(run.providerCost, sign === 1 ? cost : negated(cost));
    for (const { meter, quantity } of event.quantities) {
      const signed = sign === 1 ? quantity : negated(quantity);
      const count = COUNT_OF_METER[meter];
      if (count !== undefined) run.counts[count] += Number(signed.coefficient);
      else {
        const name = DECIMAL_NAMES.get(meter);
        if (name !== undefined) run.decimals[name] = add(run.decimals[name] ?? ZERO, signed);
      }
    }
  }

  /** Links runs to their parents and adds the sums. A parent never seen gets a row of its own, so that the tree hangs together. */
  async write(db: Queryable, environmentId: number): Promise<void> {
    const own = [...this.#runs.values()];
    const ancestors = await this.#ancestors(db, environmentId, own);
    const parents = new Map<string, RunSum>();
    for (const { parentId, firstAt } of own) {
      if (parentId !== undefined && !this.#runs.has(parentId)) parents.set(parentId, emptyRun(parentId, null, firstAt));
    }
    // One sorted statement for runs and parents alike: two transactions meet in one order only.
    const rows = [...own, ...parents.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
    await upsert(db, environmentId, rows, ancestors);
  }

  /** Ancestors of each run that names a parent, nearest first; a parent that would close a cycle or pass the depth is dropped. */
  async #ancestors(
    db: Queryable,
    environmentId: number,
    runs: readonly RunSum[],
  ): Promise<Map<string, readonly string[]>> {
    const parents = new Set(runs.flatMap((run) => (run.parentId === undefined ? [] : [run.parentId])));
    const known = new Map<string, readonly string[]>();
    if (parents.size === 0) return known;
    const names = [...new Set([...parents, ...runs.map((run) => run.id)])];
    const result = await db.query<{ id: string; ancestors: string[] }>({
      name: 'run_ancestors',
      text: 'select id, ancestors from run where environment_id = $1 and id = any($2::text[])',
      values: [environmentId, textArray(names)],
    });
    const stored = new Map(result.rows.map((row) => [row.id, row.ancestors]));
    for (const run of runs) this.#resolve(run, stored, known, new Set());
    return known;
  }

  #resolve(
    run: RunSum,
    stored: ReadonlyMap<string, readonly string[]>,
    known: Map<string, readonly string[]>,
    path: Set<string>,
  ): readonly string[] {
    const done = known.get(run.id) ?? (stored.get(run.id)?.length ? stored.get(run.id) : undefined);
    if (done !== undefined) return done;
    if (run.parentId === undefined || path.has(run.parentId)) {
      run.parentId = undefined;
      return [];
    }
    path.add(run.id);
    const parent = this.#runs.get(run.parentId);
    const above = parent === undefined ? (stored.get(run.parentId) ?? []) : this.#resolve(parent, stored, known, path);
    const ancestors = [run.parentId, ...above];
    if (ancestors.includes(run.id) || ancestors.length > LIMITS.runDepthMax) {
      run.parentId = undefined;
      return [];
    }
    known.set(run.id, ancestors);
    return ancestors;
  }
}

function negated(value: Decimal): Decimal {
  return { ...value, coefficient: -value.coefficient };
}

function emptyRun(id: string, customerId: number | null, at: number): RunSum {
  return {
    id,
    parentId: undefined,
    customerId,
    agent: undefined,
    firstAt: at,
    lastAt: at,
    counts: { requests: 0, errors: 0, retries: 0, input_tokens: 0, cached_tokens: 0, output_tokens: 0, tool_calls: 0 },
    decimals: {},
    charge: 0n,
    currency: undefined,
    providerCost: ZERO,
  };
}

/** Where the decimals begin among the statement's parameters. */
const DECIMALS_AT = 9 + RUN_COUNTS.length;
const MONEY_AT = DECIMALS_AT + RUN_DECIMALS.length;
const COUNT_NAMES = RUN_COUNTS.map((_, index) => `n${index}`).join(', ');
const DECIMAL_ALIASES = RUN_DECIMALS.map((_, index) => `d${index}`);

const UPSERT = `insert into run as r (environment_id, id, parent_id, ancestors, customer_id, agent, first_at, last_at,
    ${RUN_COUNTS.join(', ')}, ${RUN_DECIMALS.join(', ')}, charge, currency, provider_cost)
  select $1, i, p, a::text[], c, g, f, l, ${COUNT_NAMES}, ${DECIMAL_ALIASES.map((name) => `${name}::numeric`).join(', ')},
    h::numeric, y, o::numeric
  from unnest($2::text[], $3::text[], $4::text[], $5::int8[], $6::text[], $7::timestamptz[], $8::timestamptz[],
      ${RUN_COUNTS.map((_, index) => `$${index + 9}::int8[]`).join(', ')},
      ${RUN_DECIMALS.map((_, index) => `$${index + DECIMALS_AT}::text[]`).join(', ')},
      $${MONEY_AT}::text[], $${MONEY_AT + 1}::text[], $${MONEY_AT + 2}::text[])
    as k(i, p, a, c, g, f, l, ${COUNT_NAMES}, ${DECIMAL_ALIASES.join(', ')}, h, y, o)
  order by i
  on conflict (environment_id, id) do update set
    parent_id = coalesce(r.parent_id, excluded.parent_id),
    ancestors = case when r.parent_id is null then excluded.ancestors else r.ancestors end,
    customer_id = coalesce(r.customer_id, excluded.customer_id),
    agent = coalesce(r.agent, excluded.agent),
    first_at = least(r.first_at, excluded.first_at),
    last_at = greatest(r.last_at, excluded.last_at),
    ${[...RUN_COUNTS, ...RUN_DECIMALS].map((name) => `${name} = r.${name} + excluded.${name}`).join(', ')},
    charge = r.charge + excluded.charge,
    currency = coalesce(r.currency, excluded.currency),
    provider_cost = r.provider_cost + excluded.provider_cost`;

function upsert(
  db: Queryable,
  environmentId: number,
  runs: readonly RunSum[],
  ancestors: ReadonlyMap<string, readonly string[]>,
): Promise<unknown> {
  return db.query({
    name: 'run_upsert',
    text: UPSERT,
    values: [
      environmentId,
      textArray(runs.map((run) => run.id)),
      textArray(runs.map((run) => run.parentId ?? null)),
      textArray(runs.map((run) => arrayLiteral(ancestors.get(run.id) ?? []))),
      int8Array(runs.map((run) => run.customerId)),
      textArray(runs.map((run) => run.agent ?? null)),
      instantArray(runs.map((run) => run.firstAt)),
      instantArray(runs.map((run) => run.lastAt)),
      ...RUN_COUNTS.map((name) => int8Array(runs.map((run) => run.counts[name]))),
      ...RUN_DECIMALS.map((name) => textArray(runs.map((run) => toText(run.decimals[name] ?? ZERO)))),
      textArray(runs.map((run) => toText(ledgerDecimal(run.charge)))),
      textArray(runs.map((run) => run.currency ?? null)),
      textArray(runs.map((run) => toText(run.providerCost))),
    ],
  });
}

function arrayLiteral(values: readonly string[]): string {
  return `{${values.map((value) => `"${value.replace(/[\\"]/g, '\\$&')}"`).join(',')}}`;
}
