/** Sizes beyond which a catalog document is hostile or a mistake. Each bounds the work of one publish or one rating. */

/** Prices in one rate card. */
export const PRICES_MAX = 1000;
/** Tiers of one price; peers stop far below. */
export const TIERS_MAX = 100;
/** Cells of one matrix: every model of a large price list times its token classes. */
export const CELLS_MAX = 2000;
/** Cells of all matrices of one card together: the check for ties compares them pairwise in the worst case. */
export const CELLS_PER_CARD_MAX = 10_000;
/** Keys of one match. */
export const MATCH_KEYS_MAX = 8;
/** Characters of a matched value. */
export const MATCH_VALUE_MAX = 200;
/** Prompt bands and time-of-day bands of one price. */
export const BANDS_MAX = 48;
/** Digits after the point that a unit transform may keep. */
export const PLACES_MAX = 18;
/** Transactions of one stateless preview. */
export const TRANSACTIONS_MAX = 10_000;
/** Digits before the point of an amount or quantity: what `numeric(38,12)` holds. */
export const WHOLE_DIGITS_MAX = 26;
/** Remembered choices of one meter or one price; past it the memory is emptied and filled again. */
export const CHOICES_REMEMBERED_MAX = 10_000;
/** Faults of one document that are told at once; who has more mends these first. */
export const ERRORS_REPORTED_MAX = 100;
/** Ties of one meter or matrix that are told at once: a careless card has as many as it has pairs. */
export const TIES_REPORTED_MAX = 20;
