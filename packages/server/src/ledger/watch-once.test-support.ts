import { openDatabase } from '../store/database.ts';
import { watchWallets } from './index.ts';

/** One process of several: looks at the watched wallets again and again for a while. Arguments: connection as JSON, instant. */
const [connection = '{}', now = '0'] = process.argv.slice(2);
const database = openDatabase({ connection: JSON.parse(connection), connectionsMax: 4 }, () => undefined);
await database.pool.query('select 1');
process.stdout.write('ready\n');
await new Promise((resolve) => process.stdin.once('data', resolve));
for (let round = 0; round < 10; round++) {
  await Promise.all(Array.from({ length: 4 }, () => watchWallets(database, Number(now))));
}
await database.close();
process.exit(0);
