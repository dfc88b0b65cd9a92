declare const brandName: unique symbol;

/** A type that the compiler keeps apart from its carrier: `Brand<string, 'WalletId'>` is not a string by accident. */
export type Brand<Carrier, Name extends string> = Carrier & { readonly [brandName]: Name };
