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
