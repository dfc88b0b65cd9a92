import type { TestApp } from '../http/test-app.test-support.ts';

const TABLES = [
  ...['meter', 'rate_card_version', 'billing_definition', 'provider_price_version', 'model_alias'],
  ...['customer', 'customer_override', 'audit_log', 'outbox_event'],
];

/** Every row that a catalog file may touch in the environment of a key, and the catalog's revision. */
export async function environmentRows(app: TestApp, key: string): Promise<readonly string[]> {
  const principal = await app.services.keys.verify(key);
  if (principal === undefined) throw new Error('the key is unknown');
  const { pool } = app.database;
  const of = [principal.environmentId];
  const found = await pool.query('select catalog_revision::text as text from environment where id = $1', of);
  const all: string[] = found.rows.map((row) => row.text);
  for (const table of TABLES) {
    const sql = `select '${table} ' || to_jsonb(t)::text as text from ${table} t where environment_id = $1 order by 1`;
    all.push(...(await pool.query<{ text: string }>(sql, of)).rows.map((row) => row.text));
  }
  return all;
}
