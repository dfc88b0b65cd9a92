import type { RunningErgon } from '../../packages/server/src/start-ergon.ts';
import { sendEvents, type TestErgon } from './ergon.ts';

/**
 * A year of subscriptions, simulated through HTTP on a sandbox's clock, and recomputed from the events alone: another calendar
 * (Intl, not Temporal), other arithmetic (plain bigints), no code of the server's.
 */

export const ZONES = ['UTC', 'Europe/Athens', 'America/New_York', 'Asia/Kolkata', 'Pacific/Auckland'];

/** Units of 10^-12 USD. */
const FEE = 10n * 10n ** 12n;
const MINIMUM = 6n * 10n ** 12n;
const FIRST_PRICE = 123_456_789_013n;
const SECOND_PRICE = 45_678_901_237n;
const FIRST_TIER = 40n;
const DAY = 86_400_000;
const START = Date.parse('2025-03-03T12:00:00Z');
const DAYS = 365;

type Usage = { readonly at: number; readonly count: number };
type Customer = { readonly id: string; readonly zone: string; readonly usage: Usage[] };

export type Year = { readonly customers: readonly Customer[]; readonly lateEvents: number };

/** @param next draws a whole number below its argument. */
export async function simulateYear(
  ergon: TestErgon,
  size: { customers: number; eventsEach: number; stepDays: number },
  next: (below: number) => number,
): Promise<{ checked: number; differences: string[]; late: number }> {
  const box = await openYear(ergon);
  const customers = await subscribeAll(box, size.customers);
  let late = 0;
  const held: object[] = [];
  for (let day = size.stepDays; day <= DAYS; day += size.stepDays) {
    const now = START + day * DAY;
    await box.put('/v1/test_clock', { now: new Date(now).toISOString() });
    const events = drawEvents(customers, size, day, now, next);
    // A few come after the clock has moved on: some of them into periods that are closed by then.
    const isLate = events.map(() => next(10) === 0);
    const due = held.splice(0);
    held.push(...events.filter((_, index) => isLate[index] === true));
    late += held.length;
    const prompt = [...due, ...events.filter((_, index) => isLate[index] === false)];
    await box.send(prompt);
  }
  await box.send(held);
  // Two more periods for everybody, so that whatever came late has become a line.
  for (const days of [DAYS + 33, DAYS + 66]) {
    await box.put('/v1/test_clock', { now: new Date(START + days * DAY).toISOString() });
  }
  const differences: string[] = [];
  let checked = 0;
  for (const customer of customers) {
    const found = await chargedByPeriod(box, customer.id);
    const expected = expectedByPeriod(customer, found.closed);
    checked += expected.size;
    for (const [from, amount] of expected) {
      if (found.sums.get(from) !== amount)
        differences.push(`${customer.id} ${from}: ${found.sums.get(from)} not ${amount}`);
    }
  }
  return { checked, differences, late };
}

type Box = {
  put(path: string, body: unknown): Promise<unknown>;
  post(path: string, body: unknown): Promise<unknown>;
  get(path: string): Promise<{ data: Record<string, never>[]; next_cursor: string | null }>;
  send(events: readonly object[]): Promise<void>;
};

async function openYear({ replicas }: TestErgon): Promise<Box> {
  const first = replicas.find((one) => one.newAdminKey !== undefined);
  if (first?.newAdminKey === undefined) throw new Error('no replica made a key');
  const made = await request(first, first.newAdminKey, 'POST', '/v1/environments', {
    key: 'year',
    name: 'a year',
    sandbox: true,
  });
  const key: string = made.admin_key.key;
  let turn = 0;
  const any = (): RunningErgon => {
    turn += 1;
    return replicas[turn % replicas.length] ?? first;
  };
  const box: Box = {
    put: (path, body) => request(any(), key, 'PUT', path, body),
    post: (path, body) => request(any(), key, 'POST', path, body),
    get: (path) => request(any(), key, 'GET', path),
    async send(events) {
      for (let from = 0; from < events.length; from += 2_000) {
        const answer = await sendEvents(first, key, events.slice(from, from + 2_000));
        if (answer.accepted !== Math.min(2_000, events.length - from)) throw new Error(JSON.stringify(answer));
      }
    },
  };
  // By the replica that receives the events: the others learn that a clock was stopped within a second.
  await request(first, key, 'PUT', '/v1/test_clock', { now: new Date(START).toISOString() });
  const tiers = [
    { up_to: String(FIRST_TIER), unit_amount: text(FIRST_PRICE) },
    { up_to: null, unit_amount: text(SECOND_PRICE) },
  ];
  const model = { type: 'graduated', tiers, minimum: text(MINIMUM) };
  await box.put('/v1/rate_cards/year', {
    currency: 'USD',
    prices: [{ key: 'p', meter: 'api_calls', charge_model: model }],
  });
  await box.put('/v1/plans/year', { currency: 'USD', rate_card: 'year', fees: [{ key: 'base', amount: text(FEE) }] });
  return box;
}

async function subscribeAll(box: Box, count: number): Promise<Customer[]> {
  const customers: Customer[] = [];
  for (let index = 0; index < count; index++) {
    const zone = ZONES[index % ZONES.length] ?? 'UTC';
    const id = `c${index}`;
    // Anchored on the day it begins there, so that the first period is a whole one.
    await box.post('/v1/subscriptions', { key: id, customer: id, plan: 'year', time_zone: zone });
    customers.push({ id, zone, usage: [] });
  }
  return customers;
}

function drawEvents(
  customers: readonly Customer[],
  { eventsEach, stepDays }: { eventsEach: number; stepDays: number },
  day: number,
  now: number,
  next: (below: number) => number,
): object[] {
  const events: object[] = [];
  const steps = Math.floor(DAYS / stepDays);
  for (const customer of customers) {
    const count = Math.floor(eventsEach / steps) + (next(steps) < eventsEach % steps ? 1 : 0);
    for (let index = 0; index < count; index++) {
      const at = now - next(stepDays * DAY);
      const usage = { at, count: 1 + next(30) };
      customer.usage.push(usage);
      events.push({
        id: `${customer.id}-${day}-${index}`,
        source: 'year',
        type: 'api.call',
        subject: customer.id,
        time: new Date(at).toISOString(),
        data: { count: usage.count },
      });
    }
  }
  return events;
}

/** Sums of lines by the first local day of the period they are about, and the days of the closed ones. */
async function chargedByPeriod(box: Box, id: string): Promise<{ sums: Map<string, bigint>; closed: string[] }> {
  const { data: periods } = await box.get(`/v1/subscriptions/${id}/periods?limit=1000`);
  const days = new Map(periods.map(({ number, period }) => [Number(number), String(period).slice(0, 10)]));
  const sums = new Map<string, bigint>();
  for (const period of periods) {
    const { data: lines } = await box.get(`/v1/subscriptions/${id}/periods/${Number(period['number'])}/lines`);
    for (const line of lines) {
      const about = days.get(Number(line['adjusts'] ?? period['number'])) ?? '';
      sums.set(about, (sums.get(about) ?? 0n) + units(String(line['amount'])));
    }
  }
  const closed = periods.filter((one) => String(one['status']) === 'closed');
  return { sums, closed: closed.map((one) => String(one['period']).slice(0, 10)) };
}

/** From the events: which period by the calendar of the zone, the sum, the tiers, the minimum, the fee. */
function expectedByPeriod({ zone, usage }: Customer, days: readonly string[]): Map<string, bigint> {
  const sorted = days.toSorted();
  const quantities = new Map(sorted.map((day) => [day, 0n]));
  for (const { at, count } of usage) {
    const local = new Intl.DateTimeFormat('en-CA', { timeZone: zone, dateStyle: 'short' }).format(at);
    const from = sorted.findLast((day) => day <= local) ?? '';
    quantities.set(from, (quantities.get(from) ?? 0n) + BigInt(count));
  }
  return new Map(
    [...quantities].map(([day, quantity]) => {
      const first = quantity < FIRST_TIER ? quantity : FIRST_TIER;
      const charged = first * FIRST_PRICE + (quantity - first) * SECOND_PRICE;
      return [day, FEE + (charged < MINIMUM ? MINIMUM : charged)];
    }),
  );
}

async function request(ergon: RunningErgon, key: string, method: string, path: string, body?: unknown) {
  const response = await ergon.fetch(
    new Request(`http://test${path}`, {
      method,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    }),
  );
  const answer = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${answer}`);
  return JSON.parse(answer);
}

function text(amount: bigint): string {
  const digits = String(amount).padStart(13, '0');
  return `${digits.slice(0, -12)}.${digits.slice(-12)}`;
}

function units(amount: string): bigint {
  const [, sign = '', whole = '', decimals = ''] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(amount) ?? [];
  const value = BigInt(whole) * 10n ** 12n + BigInt(decimals.padEnd(12, '0'));
  return sign === '-' ? -value : value;
}
