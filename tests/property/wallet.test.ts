import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { audit, units } from '../../packages/server/bench/support/audit.ts';
import {
  type SeededGrant,
  seedCard,
  seedCustomers,
  seedEnvironment,
  seedGrant,
  seedKey,
} from '../../packages/server/bench/support/seed.ts';
import { sendEvents, startTestErgon, type TestErgon } from '../support/ergon.ts';
import { type Call, calls, cardModels, cardSpec, event, FEATURES, lines } from './arbitraries.ts';
import { naiveDecimal } from './naive-rating.ts';
import { NaiveWallet } from './naive-wallet.ts';

/**
 * DESIGN section 7, invariant 3, and section 9, Wallets: after any sequence of grants and events every balance is what a naive
 * wallet says, to the last digit; balances are the fold of their postings, and shares sum to postings (the audit).
 */
let ergon: TestErgon;
let environments = 0;
beforeAll(async () => {
  ergon = await startTestErgon(2);
});
afterAll(() => ergon.stop());

const NOW = Date.now();
const DAY_MS = 86_400_000;
const instant = (days: number): string => new Date(NOW + days * DAY_MS).toISOString();

type Command =
  | { readonly type: 'grant'; readonly grant: Omit<SeededGrant, 'customer'> }
  | { readonly type: 'events'; readonly count: number };

const grantCommand: fc.Arbitrary<Command> = fc
  .record({
    amount: fc.constantFrom('0.000000000001', '0.05', '1', '7.123456789012', '300', '100000'),
    priority: fc.constantFrom(null, null, 1, 2),
    kind: fc.constantFrom('paid' as const, 'promotional' as const),
    effectiveAt: fc.constantFrom(instant(-400), instant(-30), instant(30)),
    expiresAt: fc.constantFrom(null, null, instant(60), instant(90), instant(-5)),
    eligibility: fc.constantFrom<Record<string, readonly string[]>>(
      {},
      {},
      { features: ['chat'] },
      { meters: ['output_tokens', 'requests'] },
      { models: ['gpt-5*'] },
      { models: ['claude-opus-4-5'], features: [...FEATURES] },
    ),
  })
  // An expiry comes after its beginning: the schema refuses anything else.
  .filter((grant) => grant.expiresAt === null || Date.parse(grant.expiresAt) > Date.parse(grant.effectiveAt))
  .map((grant): Command => ({ type: 'grant', grant }));

const eventsCommand: fc.Arbitrary<Command> = fc
  .integer({ min: 1, max: 12 })
  .map((count): Command => ({ type: 'events', count }));

const scenario = fc.record({
  models: cardModels,
  commands: fc.array(fc.oneof({ arbitrary: grantCommand, weight: 2 }, { arbitrary: eventsCommand, weight: 3 }), {
    minLength: 2,
    maxLength: 14,
  }),
  pool: calls(['acme', 'zenith'], { minLength: 170, maxLength: 170 }),
});

test('any sequence of grants and events leaves the balances of a naive wallet', { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(scenario, async ({ models, commands, pool }) => {
      environments += 1;
      const id = await seedEnvironment(ergon.sql, `wallet-${environments}`);
      await seedCustomers(ergon.sql, id, ['acme', 'zenith']);
      await seedCard(ergon.sql, id, cardSpec(models));
      const key = await seedKey(ergon.sql, id, 'ingest');
      const wallets = { acme: new NaiveWallet(), zenith: new NaiveWallet() };
      let sent = 0;
      for (const [step, command] of commands.entries()) {
        if (command.type === 'grant') await grant(id, wallets.acme, command.grant);
        else {
          const batch = pool.slice(sent, sent + command.count);
          sent += command.count;
          // One after another, on either replica: the order in which grants burn is the order of the answers.
          const replica = ergon.replicas[step % ergon.replicas.length] ?? ergon.replicas[0];
          if (replica === undefined) throw new Error('no replica');
          await sendEvents(replica, key, batch.map(event));
          for (const call of batch) chargeCall(wallets[call.customer === 'acme' ? 'acme' : 'zenith'], call, models);
        }
        expect(await balances(id, 'acme')).toEqual(naiveBalances(wallets.acme));
        expect(await balances(id, 'zenith')).toEqual(naiveBalances(wallets.zenith));
      }
      expect((await audit(ergon.sql, id)).differences).toEqual([]);
    }),
    { numRuns: 60, interruptAfterTimeLimit: 25_000, markInterruptAsFailure: false },
  );
});

function chargeCall(wallet: NaiveWallet, call: Call, models: Parameters<typeof lines>[1]): void {
  for (const line of lines(call, models)) wallet.charge(line, call.feature, call.model, NOW * 1000);
}

async function grant(environmentId: number, wallet: NaiveWallet, seeded: Omit<SeededGrant, 'customer'>): Promise<void> {
  const account = await seedGrant(ergon.sql, environmentId, { customer: 'acme', ...seeded });
  wallet.add({
    account,
    balance: naiveDecimal(seeded.amount),
    priority: seeded.priority ?? null,
    kind: seeded.kind ?? 'paid',
    effectiveAt: Date.parse(seeded.effectiveAt ?? '') * 1000,
    expiresAt: seeded.expiresAt ? Date.parse(seeded.expiresAt) * 1000 : null,
    features: seeded.eligibility?.features,
    meters: seeded.eligibility?.meters,
    models: seeded.eligibility?.models,
  });
}

/** Account to balance in units of 10^-18; the receivable by name, for the wallet does not know its number. */
type Balances = Readonly<Record<string, bigint>>;

async function balances(environmentId: number, customer: string): Promise<Balances> {
  const { rows } = await ergon.sql.query<{ name: string; balance: string }>(
    `select case a.kind when 'grant' then a.id::text else a.kind end as name, a.balance::text
     from account a join customer c on c.environment_id = a.environment_id and c.id = a.customer_id
     where a.environment_id = $1 and c.external_id = $2`,
    [environmentId, customer],
  );
  return { receivable: 0n, ...Object.fromEntries(rows.map((row) => [row.name, units(row.balance)])) };
}

function naiveBalances(wallet: NaiveWallet): Balances {
  return {
    receivable: wallet.receivable,
    ...Object.fromEntries(wallet.grants.map((one) => [String(one.account), one.balance])),
  };
}
