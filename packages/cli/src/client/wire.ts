/** Shapes of the HTTP API as they travel (DESIGN section 6). Amounts and quantities are decimal strings. */

export type Page<T> = { readonly data: readonly T[]; readonly next_cursor?: string | null };

export type IngestReport = {
  readonly accepted: number;
  readonly duplicates: number;
  readonly conflicts: number;
  readonly rejected: number;
  readonly results: readonly {
    readonly index: number;
    readonly id?: string;
    readonly status: string;
    readonly error?: { readonly code: string; readonly detail: string; readonly pointer?: string };
  }[];
  readonly warnings?: readonly { readonly index?: number; readonly code: string; readonly detail: string }[];
};

export type EventSummary = {
  /** As sent. */
  readonly event: {
    readonly id: string;
    readonly source: string;
    readonly type: string;
    readonly time?: string;
    readonly data?: Readonly<Record<string, unknown>>;
  };
  readonly received_at: string;
  readonly customer: string | null;
  readonly amount: string | null;
  readonly currency: string | null;
  readonly voided: boolean;
};

export type RatedLine = {
  readonly meter: string;
  readonly price: { readonly card: string; readonly version: string | number; readonly key?: string };
  readonly bucket?: string | null;
  readonly quantity: string;
  readonly total_before?: string;
  readonly total_after?: string;
  readonly unit_amount?: string | null;
  readonly tier?: string | number | null;
  readonly amount: string;
  readonly currency: string;
  readonly grants?: readonly { readonly grant: string; readonly amount: string }[];
  readonly receivable?: string;
};

export type EventExplanation = {
  readonly event: Readonly<Record<string, unknown>>;
  readonly received_at: string;
  readonly customer: string | null;
  readonly attribution?: Readonly<Record<string, unknown>>;
  readonly quantities: readonly { readonly meter: string; readonly quantity: string; readonly quality?: string }[];
  readonly lines: readonly RatedLine[];
  readonly provider_cost?: { readonly amount: string; readonly currency: string; readonly source?: string } | null;
  readonly unrated?: readonly { readonly meter: string; readonly quantity: string; readonly reason: string }[];
  readonly adjustments?: readonly {
    readonly kind: 'rating' | 'take_back';
    readonly rerate: string | null;
    readonly posted_at: string;
    readonly amount: string;
    readonly currency: string | null;
    readonly lines: readonly RatedLine[];
  }[];
  readonly flags?: readonly (string | { readonly code: string; readonly detail?: string })[];
  readonly voided_by?: {
    readonly source: string;
    readonly id: string;
    readonly reason: string | null;
    readonly received_at: string;
    readonly applied_at: string | null;
  } | null;
};

export type UsageReport = {
  readonly meter: string;
  readonly unit: string;
  readonly window?: string | null;
  readonly rows: readonly {
    readonly window_start?: string | null;
    readonly group: Readonly<Record<string, string | null>>;
    readonly value: string | null;
  }[];
};

export type Meter = {
  readonly key: string;
  readonly aggregation?: string;
  readonly unit?: string;
  readonly event_types?: readonly string[];
  readonly [member: string]: unknown;
};

export type Customer = {
  readonly id: string;
  readonly name?: string | null;
  readonly time_zone?: string | null;
  readonly rate_card?: string | null;
  readonly provisional?: boolean;
};

/** The doors by which a customer's calls came, compared. */
export type SourceComparison = {
  readonly events_examined: number;
  readonly is_complete: boolean;
  readonly sources: readonly { readonly source: string; readonly calls: number; readonly failed: number }[];
  readonly findings: readonly { readonly kind: string; readonly detail: string; readonly remedy: string }[];
};

export type PriceTable = {
  readonly library: string;
  readonly version: string;
  readonly published_on: string | null;
  readonly age_days: number | null;
};

/** What a provider charges for a model. */
export type PriceLookup = {
  readonly table: PriceTable;
  readonly canonical_model: string | null;
  readonly model_family: string | null;
  readonly price: {
    readonly provider: string;
    readonly model: string;
    readonly source: string;
    readonly tiers: readonly {
      readonly prompt_tokens_above: number;
      readonly per_million_tokens: Readonly<Record<string, string>>;
    }[];
    readonly per_unit: Readonly<Record<string, { readonly amount: string; readonly per: string }>>;
    readonly request_fee: { readonly amount: string; readonly per: string } | null;
    readonly flags: readonly { readonly code: string; readonly detail: string }[];
  } | null;
  readonly reason: string | null;
};

/** A model as usage names it. */
export type ReportedModel = {
  readonly provider: string | null;
  readonly model: string | null;
  readonly canonical_model: string | null;
  readonly model_family: string | null;
  readonly requests: string;
  readonly requests_without_cost: string;
  readonly provider_cost: string;
  readonly last_seen: string;
  readonly reason: string | null;
};

export type ModelAlias = { readonly reported: string; readonly model: string; readonly canonical_model: string };

export type PriceTableReport = {
  readonly table: PriceTable;
  readonly providers: number;
  readonly models: number;
  readonly models_without_figures: readonly string[];
  readonly models_with_context_tiers: number;
  readonly changes_ahead: readonly { readonly provider: string; readonly model: string; readonly from: string }[];
  readonly disagreements: number;
};

export type PriceDisagreement = {
  readonly provider: string;
  readonly model: string;
  readonly kind: string;
  readonly used: string;
  readonly other: string;
  readonly detail: string;
};

export type PriceOverride = {
  readonly key: string;
  readonly version: number;
  readonly effective_from: string;
  readonly price: { readonly provider: string; readonly model: string; readonly source: string } | null;
};

/** A sign that a customer's usage is sent in a way that bills wrongly. */
export type QualityFinding = {
  readonly kind: string;
  readonly events: string;
  readonly first_seen: string;
  readonly last_seen: string;
  readonly example: { readonly source: string; readonly id: string };
  readonly detail: string;
  readonly remedy: string;
};

export type RunTotals = Readonly<Record<string, string | number | null>>;

export type Run = {
  readonly id: string;
  readonly parent_run_id?: string | null;
  readonly customer?: string | null;
  readonly agent?: string | null;
  readonly totals: RunTotals;
  readonly subtree_totals?: RunTotals;
  readonly children?: readonly Run[];
};

export type RateCard = {
  readonly key: string;
  readonly version?: string | number;
  readonly currency: string;
  readonly effective_from?: string;
  readonly prices: readonly Readonly<Record<string, unknown>>[];
  /** The re-rating that publishing it has begun. */
  readonly rerate?: string;
};

export type Key = {
  readonly id: string;
  readonly name: string;
  readonly role: string;
  readonly scopes?: readonly string[];
  readonly environment?: string;
  readonly created_at?: string;
  readonly expires_at?: string | null;
  readonly revoked_at?: string | null;
};

/** The secret is in `key`, and is never shown again. */
export type CreatedKey = Key & { readonly key?: string };

export type AuditReport = {
  readonly events: number | string;
  readonly blocks: number | string;
  readonly accumulators: number | string;
  readonly postings: number | string;
  readonly rollups: number | string;
  /** Listed are at most 1,000 of them. */
  readonly difference_count?: number;
  readonly differences: readonly {
    readonly kind: string;
    readonly key: unknown;
    readonly expected: unknown;
    readonly found: unknown;
  }[];
  readonly duration_ms: number;
};

type EstimatedInterval = { readonly low: string; readonly expected: string; readonly high: string };
type EstimatedMoney = (EstimatedInterval & { readonly currency: string }) | null;

export type Estimate = {
  readonly model: string | null;
  readonly compute: {
    /** An inferred count has bounds and no point between them. */
    readonly flops: { readonly low: string; readonly expected?: string; readonly high: string };
    readonly hbm_bytes: EstimatedInterval | null;
    readonly accelerator_seconds: EstimatedInterval | null;
    readonly billable_accelerator_seconds: EstimatedInterval | null;
    readonly compute_units: EstimatedInterval | null;
    readonly prefill_seconds: string | null;
    readonly seconds_per_output_token: EstimatedInterval | null;
    readonly accelerator: string | null;
    readonly accelerator_count: number | null;
    readonly deployment: string | null;
    readonly time_basis: 'modelled' | 'calibrated' | null;
  } | null;
  readonly unmeasured?: string;
  readonly cost: {
    readonly charge: EstimatedMoney;
    readonly provider_cost: EstimatedMoney;
    readonly physical_cost: EstimatedMoney;
  };
  readonly unrated: readonly { readonly meter: string; readonly reason: string }[];
};

export type Deployment = {
  readonly key: string;
  readonly version: number;
  readonly calibration: {
    readonly factor: number;
    readonly low: number;
    readonly high: number;
    readonly observations: number;
    readonly time_basis: 'modelled' | 'calibrated';
  } | null;
  readonly drift: { readonly alarm: boolean; readonly recent: number; readonly outside: number };
};

export type Budget = {
  readonly key: string;
  readonly scope: { readonly tags?: Readonly<Record<string, string>> } & Readonly<Record<string, unknown>>;
  readonly per: readonly string[];
  readonly unit: string;
  readonly measure?: string;
  readonly window: string;
  readonly time_zone: string;
  readonly limit: string;
  readonly mode: string;
  readonly on_exceed: string;
  readonly thresholds: readonly string[];
  readonly counters: readonly {
    readonly member: Readonly<Record<string, string>>;
    readonly window_start: string;
    readonly committed: string;
    readonly held: string;
    readonly available: string;
  }[];
};

export type Hold = {
  readonly id: string;
  readonly status: string;
  readonly currency: string | null;
  readonly amounts: Readonly<Record<string, string>>;
  readonly settled: Readonly<Record<string, string>> | null;
  readonly late: boolean;
  readonly scopes: readonly { readonly kind: string; readonly key: string }[];
  readonly expires_at: string;
};
