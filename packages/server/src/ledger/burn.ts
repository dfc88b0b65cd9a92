import { AMOUNT_PLACES, type Currency, type Decimal, scaled } from '@ergon/exact';

/** Amounts inside the ledger: whole units of 10^-12 of the currency. */
export type LedgerUnits = bigint;

const UNITS_PER_PLACE: readonly bigint[] = Array.from(
  { length: AMOUNT_PLACES + 1 },
  (_, places) => 10n ** BigInt(places),
);

/** @throws RangeError when the amount has more than 12 decimals: amounts are rounded before they reach the ledger. */
export function ledgerUnits(amount: Decimal): LedgerUnits {
  const factor = UNITS_PER_PLACE[AMOUNT_PLACES - amount.scale];
  if (factor !== undefined) return amount.coefficient * factor;
  const divisor = 10n ** BigInt(amount.scale - AMOUNT_PLACES);
  if (amount.coefficient % divisor !== 0n) throw new RangeError('an amount has at most 12 decimals');
  return amount.coefficient / divisor;
}

export function ledgerDecimal(units: LedgerUnits): Decimal {
  return scaled(units, AMOUNT_PLACES);
}

export type Eligibility = {
  readonly features?: readonly string[] | undefined;
  readonly meters?: readonly string[] | undefined;
  readonly models?: readonly string[] | undefined;
};

/** A grant as it stands under its lock. */
export type OpenGrant = {
  readonly accountId: number;
  readonly currency: Currency;
  /** Posted less held: what unheld usage may burn. Changed by {@link burn}. */
  available: LedgerUnits;
  readonly priority: number | null;
  readonly kind: 'paid' | 'promotional';
  /** Microseconds since 1970. */
  readonly effectiveAt: number;
  readonly expiresAt: number | null;
  readonly eligibility: Eligibility;
  /** It pays on only what a hold had set aside before it ended: what is given back to it is the customer's credit. */
  readonly hasEnded?: boolean;
};

/** What is being paid for: eligibility of a grant is decided on it. */
export type Purpose = {
  readonly currency: Currency;
  readonly meter: string;
  readonly feature: string | undefined;
  readonly model: string | undefined;
};

/** A part of one amount and who bears it: a grant, or `null` for the customer's receivable. */
export type Share = { readonly accountId: number | null; readonly units: LedgerUnits };

const NO_SHARES: readonly Share[] = Object.freeze([]);

/**
 * The order in which grants burn, total and documented (DESIGN section 9): priority ascending, none last; expiry ascending,
 * none last; promotional before paid; effective date; id.
 */
export function burnOrder(a: OpenGrant, b: OpenGrant): number {
  return (
    ascendingNullLast(a.priority, b.priority) ||
    ascendingNullLast(a.expiresAt, b.expiresAt) ||
    Number(a.kind === 'paid') - Number(b.kind === 'paid') ||
    a.effectiveAt - b.effectiveAt ||
    a.accountId - b.accountId
  );
}

function ascendingNullLast(a: number | null, b: number | null): number {
  if (a === b) return 0;
  if (a === null) return 1;
  if (b === null) return -1;
  return a - b;
}

export function isEligible(grant: OpenGrant, purpose: Purpose): boolean {
  const { features, meters, models } = grant.eligibility;
  if (features !== undefined && (purpose.feature === undefined || !features.includes(purpose.feature))) return false;
  if (meters !== undefined && !meters.includes(purpose.meter)) return false;
  return (
    models === undefined ||
    (purpose.model !== undefined && models.some((pattern) => matchesModel(pattern, purpose.model ?? '')))
  );
}

function matchesModel(pattern: string, model: string): boolean {
  return pattern.endsWith('*') ? model.startsWith(pattern.slice(0, -1)) : pattern === model;
}

/**
 * Takes `units` from the grants in burn order; what no eligible grant covers is the customer's receivable. Lowers
 * `available` of the grants it takes from; the shares sum to `units`.
 *
 * @param grants in {@link burnOrder}.
 * @param at when it is posted, microseconds since 1970: validity of a grant is judged then.
 */
export function burn(grants: readonly OpenGrant[], units: LedgerUnits, purpose: Purpose, at: number): readonly Share[] {
  if (units === 0n) return NO_SHARES;
  const shares: Share[] = [];
  let left = units;
  for (const grant of grants) {
    if (left === 0n) break;
    if (
      grant.available <= 0n ||
      grant.currency !== purpose.currency ||
      grant.effectiveAt > at ||
      (grant.expiresAt !== null && grant.expiresAt <= at)
    )
      continue;
    if (!isEligible(grant, purpose)) continue;
    const taken = grant.available < left ? grant.available : left;
    grant.available -= taken;
    left -= taken;
    shares.push({ accountId: grant.accountId, units: taken });
  }
  if (left > 0n) shares.push({ accountId: null, units: left });
  return shares;
}
