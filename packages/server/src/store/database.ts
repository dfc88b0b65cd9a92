import pg from 'pg';

export type DatabaseConfig = {
  readonly connection: pg.PoolConfig;
  /** Most connections this process opens. */
  readonly connectionsMax: number;
};

/** A connection, or the pool: whatever can run a statement. */
export type Queryable = Pick<pg.ClientBase, 'query'>;
export type Client = pg.PoolClient;

export type Database = {
  readonly pool: pg.Pool;
  /**
   * One connection more, for the rare statement that a transaction needs committed before it goes on: were it to wait for one of the
   * pool, while those wait for what the transaction has locked, neither would ever have one.
   */
  readonly aside: pg.Pool;
  /** Runs `work` in one transaction; commits on return, rolls back on throw. */
  transaction<T>(work: (client: Client) => Promise<T>): Promise<T>;
  close(): Promise<void>;
};

/** int8 as bigint; numeric, date and timestamps as the text PostgreSQL prints, because a double or a local Date would round. */
const types: pg.CustomTypesConfig = {
  getTypeParser: (oid, format) => {
    if (format !== 'binary') {
      if (oid === pg.types.builtins.INT8) return (text: string) => BigInt(text);
      if (TEXT_OIDS.has(oid)) return (text: string) => text;
    }
    return pg.types.getTypeParser(oid, format);
  },
};

const TEXT_OIDS: ReadonlySet<number> = new Set([
  pg.types.builtins.NUMERIC,
  pg.types.builtins.DATE,
  pg.types.builtins.TIMESTAMP,
  pg.types.builtins.TIMESTAMPTZ,
]);

/** A house account is made once for each currency of an environment. */
const ASIDE_IDLE_MS = 2_000;

export function openDatabase(config: DatabaseConfig, onIdleError: (error: Error) => void): Database {
  const settings: pg.PoolConfig = {
    ...config.connection,
    types,
    // Statements queued without awaiting each other leave in one packet; the transaction's phases are built on it.
    pipeline: true,
    idleTimeoutMillis: 60_000,
    connectionTimeoutMillis: 10_000,
    options:
      '-c timezone=UTC -c datestyle=ISO -c statement_timeout=60s -c idle_in_transaction_session_timeout=60s -c jit=off',
  };
  const pool = new pg.Pool({ ...settings, max: config.connectionsMax });
  const aside = new pg.Pool({ ...settings, max: 1, idleTimeoutMillis: ASIDE_IDLE_MS });
  // While they are closed the server may be the first to hang up: that is no loss.
  let isClosing = false;
  const lost = (error: Error): void => {
    if (!isClosing) onIdleError(error);
  };
  for (const each of [pool, aside]) {
    each.on('error', lost);
    // The pool hears only idle connections. One that breaks between two statements of a transaction would end the process.
    each.on('connect', (client) => {
      client.on('error', lost);
    });
  }
  return {
    pool,
    aside,
    transaction: (work) => inTransaction(pool, work),
    async close() {
      isClosing = true;
      await Promise.all([pool.end(), aside.end()]);
    },
  };
}

async function inTransaction<T>(pool: pg.Pool, work: (client: Client) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let failure: Error | undefined;
  try {
    await client.query('begin');
    const result = await work(client);
    await commit(client);
    return result;
  } catch (error) {
    failure = error instanceof Error ? error : new Error(String(error));
    await client.query('rollback').catch((cause: unknown) => {
      // The connection is gone; the server rolls back by itself. `release(true)` below drops the client.
      failure = new Error('connection lost during rollback', { cause });
    });
    throw error;
  } finally {
    client.release(failure !== undefined && isConnectionLost(failure));
  }
}

/** Commits, and proves it: PostgreSQL answers COMMIT on an aborted transaction with ROLLBACK and no error. */
export async function commit(client: Queryable): Promise<void> {
  const result = await client.query('commit');
  if (result.command !== 'COMMIT') throw new Error(`the transaction ended with ${result.command}, not COMMIT`);
}

/** Whether the error means that the connection, not the statement, failed: the caller may try again. */
export function isConnectionLost(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (/^(08|57P0)/.test(code)) return true;
  if (/^(ECONN|EPIPE|ENOENT|ETIMEDOUT)/.test(code)) return true;
  return /connection (terminated|lost|error|timeout)|not queryable|Client has encountered|timeout exceeded when trying/i.test(
    error.message,
  );
}

/** Whether a statement ran into `statement_timeout` or `lock_timeout`: it changed nothing, and may be asked for less or again. */
export function isTooSlow(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === '57014' || error.code === '55P03');
}

/** The database has not answered within the time a caller gives it; what it was asked may still happen. */
export class StoreSilent extends Error {}

/**
 * @throws StoreSilent when `work` takes longer; it goes on.
 */
export async function withinMs<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new StoreSilent(`the database has not answered in ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
