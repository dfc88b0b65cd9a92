import { absolute, type Currency, type Decimal, isNegative, negate, toText } from '@ergon/exact';
import type { Client } from '../store/database.ts';
import { houseAccountIn } from './posting-store.ts';

/** An amount of a subscription's period: above zero the customer owes it, below zero it is given back. */
export type SubscriptionAmount = {
  readonly environmentId: number;
  readonly customerId: bigint;
  readonly currency: Currency;
  readonly amount: Decimal;
  readonly period: string;
};

/**
 * Posts amounts of one customer's period, and returns the posting of each. What is owed is the customer's receivable; what is
 * given back goes to the customer's credit account, never to the receivable: usage that is voided later must still find there
 * what it was charged.
 */
export async function postSubscriptionAmounts(
  client: Client,
  amounts: readonly SubscriptionAmount[],
): Promise<bigint[]> {
  const first = amounts[0];
  if (first === undefined) return [];
  const owners = amounts.map(() => first.customerId);
  const currencies = amounts.map(({ currency }) => currency);
  await client.query('select ergon_make_accounts($1, $2::int8[], $3::text[])', [
    first.environmentId,
    owners,
    currencies,
  ]);
  // In id order, as ingest locks them: who has the receivable may make the credit account.
  await client.query(
    `select from account where environment_id = $1 and customer_id = $2 and kind in ('receivable', 'customer_credit')
     order by id for update`,
    [first.environmentId, first.customerId],
  );
  const ids: bigint[] = [];
  for (const one of amounts) ids.push(await postAmount(client, one));
  return ids;
}

async function postAmount(client: Client, one: SubscriptionAmount): Promise<bigint> {
  const { environmentId, customerId, currency, amount, period } = one;
  const isCredit = isNegative(amount);
  const own = await changeOwnAccount(client, one, isCredit ? 'customer_credit' : 'receivable');
  const revenue = await houseAccountIn(client, environmentId, 'revenue', currency);
  const result = await client.query<{ id: bigint }>(
    `insert into posting (environment_id, customer_id, kind, debit_account_id, credit_account_id, currency, amount, period)
     values ($1, $2, $3, $4, $5, $6, $7, $8) returning id`,
    [
      environmentId,
      customerId,
      isCredit ? 'subscription_credit' : 'subscription',
      isCredit ? revenue : own,
      isCredit ? own : revenue,
      currency,
      toText(absolute(amount)),
      period,
    ],
  );
  const id = result.rows[0]?.id;
  if (id === undefined) throw new Error('the amount was not posted');
  return id;
}

/** A receivable falls below zero by what is owed; credit rises by what is given back: both move against the amount. */
async function changeOwnAccount(
  client: Client,
  { environmentId, customerId, currency, amount }: SubscriptionAmount,
  kind: 'receivable' | 'customer_credit',
): Promise<bigint> {
  const result = await client.query<{ id: bigint }>(
    `insert into account (environment_id, kind, customer_id, currency, balance) values ($1, $2, $3, $4, $5)
     on conflict (environment_id, customer_id, kind, currency) where kind in ('receivable', 'customer_credit')
     do update set balance = account.balance + excluded.balance returning id`,
    [environmentId, kind, customerId, currency, toText(negate(amount))],
  );
  const id = result.rows[0]?.id;
  if (id === undefined) throw new Error(`the ${kind} account was not created`);
  return id;
}
