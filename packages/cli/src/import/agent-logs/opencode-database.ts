import type { OpencodeMessage } from '@ergon/usage';

export type MessageRow =
  | { readonly ok: true; readonly message: OpencodeMessage }
  | { readonly ok: false; readonly detail: string };

/** The messages of an opencode database, one row after another; the database is opened for reading only. */
export async function* messageRows(path: string): AsyncGenerator<MessageRow> {
  const { DatabaseSync } = await import('node:sqlite');
  let database: InstanceType<typeof DatabaseSync> | undefined;
  try {
    database = new DatabaseSync(path, { readOnly: true });
    // opencode may be writing at this moment; its transactions are short.
    database.exec('pragma busy_timeout = 5000');
    const hasParents = database
      .prepare('pragma table_info(session)')
      .all()
      .some((column) => column['name'] === 'parent_id');
    const rows = database.prepare(
      hasParents
        ? 'select m.id, m.session_id, m.data, s.parent_id from message m left join session s on s.id = m.session_id order by m.id'
        : 'select id, session_id, data, null as parent_id from message order by id',
    );
    for (const { id, session_id, data, parent_id } of rows.iterate()) {
      const message = {
        id: text(id),
        sessionId: text(session_id),
        parentSessionId: text(parent_id),
        data: text(data) ?? '',
      };
      yield { ok: true, message };
    }
  } catch (error) {
    yield {
      ok: false,
      detail: `the database cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    };
  } finally {
    database?.close();
  }
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
