import { type Currency, currency, type Decimal, decimal } from '@ergon/exact';
import type { CadenceUnit } from '../catalog/billing-period.ts';
import { microsFromPostgres } from '../event/instant.ts';
import type { Queryable } from '../store/database.ts';
import { type AddOnSpec, addOnSpec, type CouponSpec, couponSpec, type PlanSpec, planSpec } from './schemas.ts';

/** A subscription with everything its periods are computed from. Instants in microseconds since 1970. */
export type Subscription = {
  readonly id: bigint;
  readonly key: string;
  readonly customerId: bigint;
  readonly customer: string;
  readonly currency: Currency;
  readonly timeZone: string;
  readonly unit: CadenceUnit;
  readonly count: number;
  readonly anchorOn: string;
  readonly startsAt: number;
  readonly endsAt: number | null;
  readonly dueAt: number | null;
  readonly createdAt: number;
  /** Oldest first; the first begins with the subscription. */
  readonly phases: readonly Phase[];
  readonly addOns: readonly AddOn[];
  readonly coupons: readonly Coupon[];
};

export type Phase = {
  readonly from: number;
  readonly planKey: string;
  readonly version: number;
  readonly plan: PlanSpec;
  /** The phase's own card. */
  readonly rateCard: string | null;
  readonly isTrial: boolean;
};

export type AddOn = {
  readonly id: bigint;
  readonly key: string;
  readonly version: number;
  readonly spec: AddOnSpec;
  readonly quantity: Decimal;
  readonly from: number;
  readonly to: number | null;
};

export type Coupon = {
  readonly key: string;
  readonly version: number;
  readonly spec: CouponSpec;
  readonly firstPeriod: number;
};

type Row = {
  id: bigint;
  key: string;
  customer_id: bigint;
  customer: string;
  currency: string;
  time_zone: string;
  cadence_unit: CadenceUnit;
  cadence_count: number;
  anchor_on: string;
  starts_at: string;
  ends_at: string | null;
  due_at: string | null;
  created_at: string;
};

type PartRow = {
  subscription_id: bigint;
  id: bigint;
  key: string;
  version: number;
  spec: unknown;
  effective_from: string;
  effective_to: string | null;
  rate_card: string | null;
  is_trial: boolean;
  quantity: string;
  first_period: number;
};

const COLUMNS = `s.id, s.key, s.customer_id, c.external_id as customer, s.currency, s.time_zone, s.cadence_unit, s.cadence_count,
  s.anchor_on, s.starts_at, s.ends_at, s.due_at, s.created_at`;
const FROM = 'subscription s join customer c on c.environment_id = s.environment_id and c.id = s.customer_id';

export async function findSubscription(
  db: Queryable,
  environmentId: number,
  key: string,
): Promise<Subscription | undefined> {
  const result = await db.query<Row>(`select ${COLUMNS} from ${FROM} where s.environment_id = $1 and s.key = $2`, [
    environmentId,
    key,
  ]);
  return (await withParts(db, environmentId, result.rows))[0];
}

/** Locks the subscription until the transaction ends: whoever changes it or closes its periods takes turns. */
export async function lockSubscription(
  db: Queryable,
  environmentId: number,
  id: bigint,
): Promise<Subscription | undefined> {
  const result = await db.query<Row>(
    `select ${COLUMNS} from ${FROM} where s.environment_id = $1 and s.id = $2 for update of s`,
    [environmentId, id],
  );
  return (await withParts(db, environmentId, result.rows))[0];
}

/** In the order they were made. */
export async function listSubscriptions(
  db: Queryable,
  environmentId: number,
  at: { customer: string | undefined; after: bigint | undefined; limit: number },
): Promise<Subscription[]> {
  const result = await db.query<Row>(
    `select ${COLUMNS} from ${FROM} where s.environment_id = $1 and s.id > $2 and ($3::text is null or c.external_id = $3)
     order by s.id limit $4`,
    [environmentId, at.after ?? 0n, at.customer ?? null, at.limit],
  );
  return withParts(db, environmentId, result.rows);
}

export async function subscriptionsOf(
  db: Queryable,
  environmentId: number,
  customerId: bigint,
): Promise<Subscription[]> {
  const result = await db.query<Row>(
    `select ${COLUMNS} from ${FROM} where s.environment_id = $1 and s.customer_id = $2 order by s.starts_at, s.id`,
    [environmentId, customerId],
  );
  return withParts(db, environmentId, result.rows);
}

async function withParts(db: Queryable, environmentId: number, rows: readonly Row[]): Promise<Subscription[]> {
  if (rows.length === 0) return [];
  const values = [environmentId, rows.map((row) => row.id)];
  const definition = 'billing_definition d on d.environment_id = p.environment_id and d.id';
  const [phases, addOns, coupons] = await Promise.all([
    db.query<PartRow>(
      `select p.subscription_id, d.key, d.version, d.spec, p.effective_from, p.rate_card, p.is_trial
       from subscription_phase p join ${definition} = p.plan_id
       where p.environment_id = $1 and p.subscription_id = any($2::int8[]) order by p.effective_from`,
      values,
    ),
    db.query<PartRow>(
      `select p.subscription_id, p.id, d.key, d.version, d.spec, p.quantity, p.effective_from, p.effective_to
       from subscription_add_on p join ${definition} = p.definition_id
       where p.environment_id = $1 and p.subscription_id = any($2::int8[]) order by p.id`,
      values,
    ),
    db.query<PartRow>(
      `select p.subscription_id, d.key, d.version, d.spec, p.first_period
       from subscription_coupon p join ${definition} = p.definition_id
       where p.environment_id = $1 and p.subscription_id = any($2::int8[]) order by p.id`,
      values,
    ),
  ]);
  return rows.map((row) => ({
    id: row.id,
    key: row.key,
    customerId: row.customer_id,
    customer: row.customer,
    currency: currency(row.currency),
    timeZone: row.time_zone,
    unit: row.cadence_unit,
    count: row.cadence_count,
    anchorOn: row.anchor_on,
    startsAt: microsFromPostgres(row.starts_at),
    endsAt: microsOrNull(row.ends_at),
    dueAt: microsOrNull(row.due_at),
    createdAt: microsFromPostgres(row.created_at),
    phases: phases.rows.filter((one) => one.subscription_id === row.id).map(phaseOf),
    addOns: addOns.rows.filter((one) => one.subscription_id === row.id).map(addOnOf),
    coupons: coupons.rows.filter((one) => one.subscription_id === row.id).map(couponOf),
  }));
}

function phaseOf(row: PartRow): Phase {
  return {
    from: microsFromPostgres(row.effective_from),
    planKey: row.key,
    version: row.version,
    plan: planSpec.parse(row.spec),
    rateCard: row.rate_card,
    isTrial: row.is_trial,
  };
}

function addOnOf(row: PartRow): AddOn {
  return {
    id: row.id,
    key: row.key,
    version: row.version,
    spec: addOnSpec.parse(row.spec),
    quantity: decimal(row.quantity),
    from: microsFromPostgres(row.effective_from),
    to: microsOrNull(row.effective_to),
  };
}

function couponOf(row: PartRow): Coupon {
  return { key: row.key, version: row.version, spec: couponSpec.parse(row.spec), firstPeriod: row.first_period };
}

export function microsOrNull(postgres: string | null): number | null {
  return postgres === null ? null : microsFromPostgres(postgres);
}
