import { compileRateCard } from '@ergon/rating';
import type pg from 'pg';
import { newKey, type Role } from '../../src/http/keys.ts';

/**
 * Puts keys, cards, customers and grants into a migrated database by SQL: a bench seeds thousands of customers in one
 * statement, and a test may seed what no API lets anybody write.
 */
type Sql = Pick<pg.ClientBase, 'query'>;

export type SeededGrant = {
  readonly customer: string;
  /** Decimal text. */
  readonly amount: string;
  readonly priority?: number | null;
  readonly kind?: 'paid' | 'promotional';
  /** Instants as RFC 3339 text. */
  readonly effectiveAt?: string;
  readonly expiresAt?: string | null;
  readonly eligibility?: Readonly<Record<string, readonly string[]>>;
};

const ALWAYS = '2020-01-01T00:00:00Z';

/** A new environment; returns its id. */
export async function seedEnvironment(sql: Sql, key: string): Promise<number> {
  const result = await sql.query<{ id: number }>('insert into environment (key, name) values ($1, $1) returning id', [
    key,
  ]);
  return first(result.rows).id;
}

/** A new key; returns its text. */
export async function seedKey(sql: Sql, environmentId: number, role: Role = 'admin'): Promise<string> {
  const key = newKey();
  await sql.query('insert into api_key (environment_id, id, name, role, secret_hash) values ($1, $2, $3, $4, $5)', [
    environmentId,
    key.id,
    'seed',
    role,
    key.secretHash,
  ]);
  return key.text;
}

/** Publishes the environment's default card, in force for all time; returns the version's id. */
export async function seedCard(sql: Sql, environmentId: number, spec: unknown): Promise<number> {
  const compiled = compileRateCard(spec);
  if (!compiled.ok) throw new Error(`the seeded card does not compile: ${JSON.stringify(compiled.errors)}`);
  const result = await sql.query<{ id: string }>(
    `insert into rate_card_version (environment_id, key, version, effective_from, spec)
     values ($1, 'default', 1, $2, $3) returning id`,
    [environmentId, ALWAYS, JSON.stringify(spec)],
  );
  await sql.query('update environment set catalog_revision = catalog_revision + 1 where id = $1', [environmentId]);
  return Number(first(result.rows).id);
}

/** Confirmed customers by external id. */
export async function seedCustomers(sql: Sql, environmentId: number, externalIds: readonly string[]): Promise<void> {
  await sql.query(
    `insert into customer (environment_id, external_id, is_provisional) select $1, e, false from unnest($2::text[]) e`,
    [environmentId, externalIds],
  );
}

/** One grant with its account and posting; returns the account. */
export async function seedGrant(sql: Sql, environmentId: number, grant: SeededGrant): Promise<number> {
  await housePaidIn(sql, environmentId);
  const result = await sql.query<{ account_id: string }>(
    `with owner as (select id from customer where environment_id = $1 and external_id = $2),
       opened as (insert into account (environment_id, kind, customer_id, currency, balance)
         select $1, 'grant', id, 'USD', $3 from owner returning id, customer_id),
       posted as (insert into posting (environment_id, customer_id, kind, debit_account_id, credit_account_id, currency, amount)
         select $1, opened.customer_id, 'grant', house.id, opened.id, 'USD', $3 from opened,
           account house where house.environment_id = $1 and house.kind = 'paid_in' and house.currency = 'USD')
     insert into credit_grant (environment_id, account_id, customer_id, wallet, currency, amount, kind, priority, effective_at, expires_at, eligibility)
     select $1, id, customer_id, 'default', 'USD', $3, $4, $5, $6, $7, $8 from opened returning account_id`,
    [
      environmentId,
      grant.customer,
      grant.amount,
      grant.kind ?? 'paid',
      grant.priority ?? null,
      grant.effectiveAt ?? ALWAYS,
      grant.expiresAt ?? null,
      JSON.stringify(grant.eligibility ?? {}),
    ],
  );
  return Number(first(result.rows).account_id);
}

/** The same grant, in a wallet of its own, for every customer of the environment, in one statement. */
export async function seedGrantForAll(sql: Sql, environmentId: number, amount: string): Promise<void> {
  await housePaidIn(sql, environmentId);
  await sql.query(
    `with opened as (insert into account (environment_id, kind, customer_id, currency, balance)
         select $1, 'grant', id, 'USD', $2 from customer where environment_id = $1 order by id returning id, customer_id),
       named as (insert into wallet (environment_id, customer_id, key, currency) select $1, customer_id, 'default', 'USD' from opened),
       posted as (insert into posting (environment_id, customer_id, kind, debit_account_id, credit_account_id, currency, amount)
         select $1, opened.customer_id, 'grant', house.id, opened.id, 'USD', $2 from opened,
           account house where house.environment_id = $1 and house.kind = 'paid_in' and house.currency = 'USD')
     insert into credit_grant (environment_id, account_id, customer_id, wallet, currency, amount, kind, effective_at)
     select $1, id, customer_id, 'default', 'USD', $2, 'paid', $3 from opened`,
    [environmentId, amount, ALWAYS],
  );
}

async function housePaidIn(sql: Sql, environmentId: number): Promise<void> {
  await sql.query(
    `insert into account (environment_id, kind, currency) values ($1, 'paid_in', 'USD') on conflict do nothing`,
    [environmentId],
  );
}

function first<Row>(rows: readonly Row[]): Row {
  const [row] = rows;
  if (row === undefined) throw new Error('the seed statement returned no row');
  return row;
}
