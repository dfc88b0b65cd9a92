/** A month's usage priced under another card. Amounts are decimal texts. */
export type Simulation = {
  readonly card: string;
  readonly month: string;
  readonly currency: string;
  readonly method: string;
  /** Why single events had to be read. */
  readonly reason?: string;
  readonly requests: string | null;
  readonly events: string | null;
  readonly totals: SimulatedAmounts & { readonly customers: number };
  readonly customers: readonly (SimulatedAmounts & { readonly customer: string })[];
  readonly unrated: readonly { readonly meter: string; readonly quantity: string }[];
};

type SimulatedAmounts = { readonly old: string; readonly new: string; readonly difference: string };

/** How far a simulation is that reads single events. */
export type SimulationProgress = {
  readonly customers_done: number;
  readonly customers_total: number;
  readonly events_done: number;
  readonly events_total: number;
  readonly events_per_second: number;
};
