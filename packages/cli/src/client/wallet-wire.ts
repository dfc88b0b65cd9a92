/** Wallets, their grants and their ledger, as they travel. */

export type Grant = {
  readonly id: string;
  readonly amount: string;
  readonly balance?: string;
  readonly currency?: string;
  readonly kind?: string;
  readonly status?: string;
  readonly priority?: number | null;
  readonly expires_at?: string | null;
};

export type Wallet = {
  readonly key: string;
  readonly currency: string;
  readonly posted: string;
  readonly held: string;
  readonly available: string;
  readonly receivable?: string;
  readonly customer_credit?: string;
  readonly incoming?: string;
  readonly value?: { readonly available: string; readonly currency: string } | null;
  readonly forecast?: { readonly burn_per_hour: string; readonly hours_left: string | null };
  readonly grants?: readonly Grant[];
};

export type LedgerEntry = {
  readonly id: string;
  readonly posted_at: string;
  readonly debit_account: string;
  readonly credit_account: string;
  readonly amount: string;
  readonly currency: string;
  readonly kind: string;
  readonly meter?: string | null;
  readonly grant?: string | null;
};
