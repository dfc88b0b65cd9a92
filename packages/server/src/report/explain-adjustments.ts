import { add, decimal, toText, ZERO } from '@ergon/exact';
import { z } from '@hono/zod-openapi';
import { type CatalogSnapshot, cardVersion, loadSnapshot } from '../catalog/snapshot.ts';
import { formatInstant } from '../event/instant.ts';
import { decimalOutput, instantOutput } from '../http/wire.ts';
import { isTakeBack } from '../record/adjusting-event.ts';
import { prepareEvent } from '../record/prepare.ts';
import type { StoredEvent } from '../record/read-events.ts';
import { standingOf } from '../record/standing.ts';
import type { EventRating } from '../record/types.ts';
import type { Queryable } from '../store/database.ts';
import { explainLine, lineAnswer } from './explain-line.ts';

export const adjustmentAnswer = z
  .strictObject({
    kind: z.enum(['rating', 'take_back']).openapi({
      description: '`rating`: the event rated anew. `take_back`: what an earlier rating charged, given back',
    }),
    id: z.string().openapi({ description: 'Of the adjusting record, an event of the source `ergon`' }),
    rerate: z
      .string()
      .nullable()
      .openapi({ description: 'The re-rating that posted it; null: a void of the event did' }),
    posted_at: instantOutput,
    amount: decimalOutput,
    currency: z.string().nullable(),
    lines: z.array(lineAnswer),
  })
  .openapi('ChargeAdjustment');

type Explained = {
  readonly adjustments: z.infer<typeof adjustmentAnswer>[];
  /** What of the event has no price now. */
  readonly unrated: EventRating['unrated'];
};

export type AdjustmentContext = {
  readonly environmentId: number;
  readonly catalog: CatalogSnapshot;
  readonly timeZone: string;
  readonly receivables: ReadonlySet<number>;
};

/** What re-ratings made of one event's charge, from what was recorded with each. */
export async function explainAdjustments(
  db: Queryable,
  context: AdjustmentContext,
  stored: StoredEvent,
): Promise<Explained> {
  const standing = (await standingOf(db, context.environmentId, [stored])).get(stored.event.identity);
  const records = standing?.records ?? [];
  const isKnown = records.every(
    ({ rating }) => rating.version === null || cardVersion(context.catalog, rating.version) !== undefined,
  );
  const catalog = isKnown ? context.catalog : await loadSnapshot(db, context.environmentId);
  return {
    adjustments: records.map((record) => adjustmentOf({ ...context, catalog }, stored, record)),
    unrated: standing?.unrated ?? stored.rating.unrated,
  };
}

function adjustmentOf(
  { catalog, timeZone, receivables }: AdjustmentContext,
  target: StoredEvent,
  { event, rating, receivedAt }: StoredEvent,
): z.infer<typeof adjustmentAnswer> {
  const prepared = prepareEvent(target.event, catalog, { ...target.rating, model: rating.model });
  const version = cardVersion(catalog, rating.version);
  const amount = rating.lines.reduce((sum, line) => add(sum, decimal(line.amount)), ZERO);
  return {
    kind: isTakeBack(event) ? 'take_back' : 'rating',
    id: event.id,
    rerate: typeof event.data.rerate === 'string' ? event.data.rerate : null,
    posted_at: formatInstant(receivedAt),
    amount: toText(amount),
    currency: rating.currency,
    lines: rating.lines.map((line) => explainLine(line, rating, version, { prepared, timeZone }, receivables)),
  };
}
