/** A deployment that fits: Llama 3.1 70B, four H100s. */
export const LLAMA = {
  model: 'llama-3.1-70b',
  serves: ['llama70'],
  accelerator: 'h100-sxm',
  accelerator_count: 4,
  weight_dtype: 'fp8',
  engine: 'vllm',
  price: { per_device_hour: '2.50', currency: 'USD' },
  reference: { batch: 32 },
} as const;

export type Quantities = Readonly<Record<string, string>>;

export type Explained = {
  readonly quantities: readonly { readonly meter: string; readonly quantity: string }[];
  readonly lines: readonly { readonly meter: string; readonly amount: string }[];
  readonly compute: Readonly<Record<string, unknown>> | null;
};

export function quantitiesOf({ quantities }: Explained): Quantities {
  return Object.fromEntries(quantities.map(({ meter, quantity }) => [meter, quantity]));
}
