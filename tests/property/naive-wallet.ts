import type { Line } from './arbitraries.ts';
import { naiveCharge } from './naive-rating.ts';

/**
 * One customer's money, written a second time as plainly as possible (DESIGN section 9, Wallets and Charge models): grants
 * burn in order, the rest is owed; a charge that falls takes back the latest debits of its own running total.
 */
export type NaiveGrant = {
  readonly account: number;
  balance: bigint;
  readonly priority: number | null;
  readonly kind: 'paid' | 'promotional';
  readonly effectiveAt: number;
  readonly expiresAt: number | null;
  readonly features: readonly string[] | undefined;
  readonly meters: readonly string[] | undefined;
  readonly models: readonly string[] | undefined;
};

type Debit = { readonly grant: NaiveGrant | undefined; units: bigint };

const NONE = Number.POSITIVE_INFINITY;

export class NaiveWallet {
  readonly grants: NaiveGrant[] = [];
  /** Zero or below: what no grant covered. */
  receivable = 0n;
  earned = 0n;
  readonly #totals = new Map<string, bigint>();
  readonly #debits = new Map<string, Debit[]>();

  add(grant: NaiveGrant): void {
    this.grants.push(grant);
    this.grants.sort(
      (a, b) =>
        (a.priority ?? NONE) - (b.priority ?? NONE) ||
        (a.expiresAt ?? NONE) - (b.expiresAt ?? NONE) ||
        Number(a.kind === 'paid') - Number(b.kind === 'paid') ||
        a.effectiveAt - b.effectiveAt ||
        a.account - b.account,
    );
  }

  /** Rates one line of one event at an instant, microseconds since 1970. */
  charge(line: Line, feature: string, model: string, now: number): void {
    const before = this.#totals.get(line.bucket) ?? 0n;
    const after = before + line.quantity;
    this.#totals.set(line.bucket, after);
    const amount = naiveCharge(line.model, after) - naiveCharge(line.model, before);
    this.earned += amount;
    const debits = this.#debits.get(line.bucket) ?? [];
    this.#debits.set(line.bucket, debits);
    if (amount < 0n) this.#takeBack(debits, -amount);
    else this.#burn(debits, amount, { feature, model, meter: line.meter }, now);
  }

  #burn(
    debits: Debit[],
    amount: bigint,
    purpose: { feature: string; model: string; meter: string },
    now: number,
  ): void {
    let left = amount;
    for (const grant of this.grants) {
      const isValid = grant.effectiveAt <= now && (grant.expiresAt === null || grant.expiresAt > now);
      const isEligible =
        (grant.features?.includes(purpose.feature) ?? true) &&
        (grant.meters?.includes(purpose.meter) ?? true) &&
        (grant.models?.some((name) => fits(name, purpose.model)) ?? true);
      if (!isValid || !isEligible) continue;
      const taken = grant.balance < left ? grant.balance : left;
      grant.balance -= taken;
      left -= taken;
      if (taken > 0n) debits.push({ grant, units: taken });
    }
    this.receivable -= left;
    if (left > 0n) debits.push({ grant: undefined, units: left });
  }

  #takeBack(debits: Debit[], amount: bigint): void {
    let left = amount;
    while (left > 0n) {
      const latest = debits.at(-1);
      if (latest === undefined) throw new Error('the charge fell below zero');
      const taken = latest.units < left ? latest.units : left;
      latest.units -= taken;
      left -= taken;
      if (latest.grant === undefined) this.receivable += taken;
      else latest.grant.balance += taken;
      if (latest.units === 0n) debits.pop();
    }
  }
}

function fits(pattern: string, model: string): boolean {
  return pattern.endsWith('*') ? model.startsWith(pattern.slice(0, -1)) : pattern === model;
}
