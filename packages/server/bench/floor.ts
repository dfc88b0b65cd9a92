import { createServer, type ServerResponse } from 'node:http';
import pg from 'pg';
import { textArray } from '../src/store/pg-arrays.ts';

/**
 * The floor under every ingest: the same bodies over the same HTTP, parsed; their keys and bodies inserted into one table with
 * a primary key; committed; nothing else. Requests that wait share one insert, as the service's do. What it takes is what
 * receiving events durably costs before anybody meters them. Arguments: the connection as JSON.
 */
type Waiting = { readonly keys: string[]; readonly bodies: string[]; readonly response: ServerResponse };

/** As the service: two inserts in flight, up to 6,000 events in each. */
const LANES = 2;
const GROUP_EVENTS_MAX = 6_000;

const connection = JSON.parse(process.argv[2] ?? '{}') as pg.ClientConfig;
const setup = new pg.Client(connection);
await setup.connect();
await setup.query('create table if not exists event (key text collate "C" primary key, body text not null)');
await setup.end();
const idle: pg.Client[] = [];
for (let lane = 0; lane < LANES; lane++) {
  const client = new pg.Client(connection);
  await client.connect();
  idle.push(client);
}

const queue: Waiting[] = [];
let isScheduled = false;

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const parsed: unknown = JSON.parse(
      (chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)).toString(),
    );
    const keys: string[] = [];
    const bodies: string[] = [];
    for (const event of (Array.isArray(parsed) ? parsed : [parsed]) as { source: string; id: string }[]) {
      keys.push(`${event.source} ${event.id}`);
      bodies.push(JSON.stringify(event));
    }
    queue.push({ keys, bodies, response });
    schedule();
  });
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  process.send?.(typeof address === 'object' && address !== null ? `http://127.0.0.1:${address.port}` : '');
});
process.once('disconnect', () => process.exit(0));

/** A turn later, so that requests of the same turn share an insert. */
function schedule(): void {
  if (isScheduled || idle.length === 0 || queue.length === 0) return;
  isScheduled = true;
  setImmediate(() => {
    isScheduled = false;
    const client = queue.length === 0 ? undefined : idle.pop();
    if (client === undefined) return;
    void insert(client).finally(() => {
      idle.push(client);
      schedule();
    });
    schedule();
  });
}

async function insert(client: pg.Client): Promise<void> {
  const group: Waiting[] = [];
  let events = 0;
  for (
    let [next] = queue;
    next !== undefined && (events === 0 || events + next.keys.length <= GROUP_EVENTS_MAX);
    [next] = queue
  ) {
    queue.shift();
    group.push(next);
    events += next.keys.length;
  }
  await client.query({
    name: 'insert',
    // Sorted, so that two inserts that share keys wait for one another in one direction only.
    text: 'insert into event (key, body) select k, b from unnest($1::text[], $2::text[]) as s(k, b) order by k collate "C" on conflict do nothing',
    values: [textArray(group.flatMap((one) => one.keys)), textArray(group.flatMap((one) => one.bodies))],
  });
  for (const { keys, response } of group) {
    const answer = `{"accepted":${keys.length}}`;
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': answer.length }).end(answer);
  }
}
