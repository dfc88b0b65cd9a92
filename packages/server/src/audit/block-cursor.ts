import { eventsOfBlock, type StoredEvent } from '../record/read-events.ts';
import type { Client } from '../store/database.ts';
import type { Differences } from './differences.ts';

const BLOCKS_PER_READ = 10;

type BlockRow = { id: bigint; received_at: string; event_count: number; events: Buffer; ratings: Buffer };

/** Reads an environment's blocks in order, a few at a time. */
export class CursorReader {
  count = 0;
  readonly #client: Client;
  readonly #environmentId: number;

  constructor(client: Client, environmentId: number) {
    this.#client = client;
    this.#environmentId = environmentId;
  }

  async *blocks(differences: Differences): AsyncGenerator<StoredEvent[]> {
    let after = -1n;
    for (;;) {
      const result = await this.#client.query<BlockRow>({
        name: 'audit_blocks',
        text: `select id, received_at, event_count, events, ratings from event_block
          where environment_id = $1 and id > $2::int8 order by id limit ${BLOCKS_PER_READ}`,
        values: [this.#environmentId, after.toString()],
      });
      for (const row of result.rows) {
        after = row.id;
        this.count += 1;
        const events = eventsOfBlock(this.#environmentId, row);
        if (events.length !== row.event_count) {
          differences.add('block', String(row.id), `${row.event_count} events`, `${events.length} events`);
        }
        yield events;
      }
      if (result.rows.length < BLOCKS_PER_READ) return;
    }
  }
}
