import type { Queryable } from './database.ts';

/** One action for the append-only log: who did what to which thing. */
export type AuditedAction = {
  readonly environmentId: number;
  /** Id of the API key, or `system` for what Ergon does by itself. */
  readonly actor: string;
  /** What was done, noun.verb: `rate_card.publish`. */
  readonly action: string;
  /** The thing it was done to, as its path names it. */
  readonly target: string;
  readonly detail?: Readonly<Record<string, unknown>>;
};

/** Writes the action in the caller's transaction, so that it is logged exactly when it happened. */
export async function recordAction(db: Queryable, action: AuditedAction): Promise<void> {
  await db.query(
    'insert into audit_log (environment_id, actor, action, target, detail) values ($1, $2, $3, $4, $5::jsonb)',
    [action.environmentId, action.actor, action.action, action.target, JSON.stringify(action.detail ?? {})],
  );
}
