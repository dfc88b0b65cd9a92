/** A month's usage priced under another card. Amounts are decimal texts. */
export type Simulation = {
  readonly card: string;
  readonly month: string;
  readonly currency: string;
  readonly method: string;
  readonly requests: string | null;
  readonly totals: SimulatedAmounts & { readonly customers: number };
  readonly customers: readonly (SimulatedAmounts & { readonly customer: string })[];
  readonly unrated: readonly { readonly meter: string; readonly quantity: string }[];
};

type SimulatedAmounts = { readonly old: string; readonly new: string; readonly difference: string };
