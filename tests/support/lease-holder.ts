import { HoldDesk, Leases } from '../../packages/server/src/govern/index.ts';
import { holdBody } from '../../packages/server/src/govern/schemas.ts';
import { resolveCustomers } from '../../packages/server/src/catalog/customers.ts';
import { policiesInForce } from '../../packages/server/src/policies/policy-store.ts';
import { recordServices } from '../../packages/server/src/record/services.ts';
import { openDatabase } from '../../packages/server/src/store/database.ts';
import { EnvironmentClocks } from '../../packages/server/src/store/environment-clock.ts';

/**
 * A process that admits calls of the customer acme from leases until it is killed, and tells its parent what it has recorded.
 * Arguments: the database's URL.
 */
const ENVIRONMENT = 1;

const database = openDatabase(
  { connection: { connectionString: process.argv[2] ?? '' }, connectionsMax: 4 },
  () => undefined,
);
const clocks = new EnvironmentClocks(() => Date.now() * 1000);
const record = recordServices(database, () => undefined);
const holds = new HoldDesk(database, () => clocks.now(ENVIRONMENT));
const policies = new Map();
const logError = (error: unknown): void => console.error(error);
const leases = new Leases({ database, holds, record, policies, clocks, logError });
const body = holdBody.parse({ id: 'x', customer: 'acme', amount: '0.01', currency: 'USD' });

for (;;) {
  const catalog = await record.currentCatalog(ENVIRONMENT);
  await policiesInForce(database.pool, ENVIRONMENT, policies, catalog.revision);
  const [customer] = await resolveCustomers(database.pool, ENVIRONMENT, ['acme']);
  if (customer !== undefined) record.customers.of(ENVIRONMENT, catalog.revision).set('acme', customer);
  let settled = 0;
  for (let call = 0; call < 5; call++) {
    const held = leases.hold(ENVIRONMENT, 'k', body);
    if (held !== undefined && leases.settle(held, { charge: '0.004' })) settled += 1;
    // Some calls are in flight when the blow falls.
    leases.hold(ENVIRONMENT, 'k', body);
  }
  await leases.flush();
  process.send?.(settled);
}
