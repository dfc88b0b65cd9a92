import { setTimeout as sleep } from 'node:timers/promises';
import { resolveCustomers } from '../src/catalog/customers.ts';
import { HoldDesk, Leases } from '../src/govern/index.ts';
import { holdBody } from '../src/govern/schemas.ts';
import { policiesInForce } from '../src/policies/policy-store.ts';
import { recordServices } from '../src/record/services.ts';
import { openDatabase } from '../src/store/database.ts';
import { EnvironmentClocks } from '../src/store/environment-clock.ts';
import type { Rig } from './support/rig.ts';
import { customerName } from './support/workload.ts';

export type LeasedResult = {
  readonly pairs: number;
  /** Asked for where no lease had room: they would have gone to the database. */
  readonly unleased: number;
  readonly p50Micros: number;
  readonly p99Micros: number;
};

const ENVIRONMENT = 1;
/** Calls between two turns of the event loop, in which leases are taken and calls recorded. */
const CALLS_A_TURN = 20;

/** A hold and its settlement inside one process, from leases over a wallet and two budgets, each recorded in the database. */
export async function leasedBench(rig: Rig, seconds: number): Promise<LeasedResult> {
  const database = openDatabase({ connection: rig.connection, connectionsMax: 4 }, () => undefined);
  const clocks = new EnvironmentClocks(() => Date.now() * 1000);
  const record = recordServices(database, () => undefined);
  const holds = new HoldDesk(database, () => clocks.now(ENVIRONMENT));
  const policies = new Map();
  const logError = (error: unknown): void => {
    throw error;
  };
  const leases = new Leases({ database, holds, record, policies, clocks, logError });
  const catalog = await record.catalog(ENVIRONMENT);
  await policiesInForce(database.pool, ENVIRONMENT, policies, catalog.revision);
  const name = customerName(1);
  const [customer] = await resolveCustomers(database.pool, ENVIRONMENT, [name]);
  if (customer === undefined) throw new Error(`there is no customer ${name}`);
  record.customers.of(ENVIRONMENT, catalog.revision).set(name, customer);
  const body = holdBody.parse({ id: 'x', customer: name, model: 'gpt-5-mini', amount: '0.013', currency: 'USD' });
  const micros: number[] = [];
  let unleased = 0;
  const endsAt = performance.now() + seconds * 1_000;
  while (performance.now() < endsAt) {
    for (let call = 0; call < CALLS_A_TURN; call++) {
      const startedAt = performance.now();
      const held = leases.hold(ENVIRONMENT, 'bench', body);
      if (held === undefined) {
        unleased += 1;
        break;
      }
      leases.settle(held, { charge: '0.007' });
      micros.push((performance.now() - startedAt) * 1_000);
    }
    await sleep(5);
  }
  await leases.stop();
  await database.close();
  const sorted = micros.toSorted((one, other) => one - other);
  const at = (part: number): number => sorted[Math.floor(sorted.length * part)] ?? 0;
  return { pairs: micros.length, unleased, p50Micros: at(0.5), p99Micros: at(0.99) };
}
