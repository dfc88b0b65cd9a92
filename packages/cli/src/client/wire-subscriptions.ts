/** Shapes of plans, subscriptions and their periods, as they travel. */

export type Plan = {
  readonly key: string;
  readonly version: number;
  readonly spec: {
    readonly name?: string;
    readonly currency: string;
    readonly cadence: { readonly unit: string; readonly count: number };
    readonly rate_card?: string;
    readonly fees: readonly { readonly key: string; readonly amount: string | number }[];
  };
};

export type Subscription = {
  readonly key: string;
  readonly customer: string;
  readonly status: string;
  readonly currency: string;
  readonly time_zone: string;
  readonly cadence: { readonly unit: string; readonly count: number };
  readonly anchor_on: string;
  readonly starts_at: string;
  readonly ends_at: string | null;
  readonly next_at: string | null;
  readonly phases: readonly {
    readonly from: string;
    readonly plan: string;
    readonly version: number;
    readonly rate_card: string | null;
    readonly trial: boolean;
  }[];
};

export type SubscriptionPeriod = {
  readonly number: number;
  readonly from: string;
  readonly to: string;
  readonly status: string;
  readonly total: string | null;
  readonly currency: string;
};

export type SubscriptionLine = {
  readonly kind: string;
  readonly adjusts: number | null;
  readonly description: string;
  readonly quantity: string | null;
  readonly currency: string;
  readonly amount: string;
};

export type Entitlement = {
  readonly feature: string;
  readonly has_access: boolean;
  readonly type: string | null;
  readonly subscription: string | null;
  readonly value?: string;
  readonly meter?: string;
  readonly mode?: string;
  readonly limit?: string;
  readonly used?: string;
  readonly left?: string;
  readonly resets_at?: string;
  readonly budget?: string | null;
};
