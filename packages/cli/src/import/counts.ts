/** What became of the records of an import. */
export type ImportCounts = {
  /** Records read, events or not. */
  readonly records: number;
  readonly accepted: number;
  /** The server had the same event already. */
  readonly duplicates: number;
  /** The server has another event of the same source and id. */
  readonly conflicts: number;
  /** The server refused the event. */
  readonly rejected: number;
  /** The record became no event; it was not sent. */
  readonly unreadable: number;
};

export const NO_COUNTS: ImportCounts = {
  records: 0,
  accepted: 0,
  duplicates: 0,
  conflicts: 0,
  rejected: 0,
  unreadable: 0,
};

export function addCounts(a: ImportCounts, b: ImportCounts): ImportCounts {
  return {
    records: a.records + b.records,
    accepted: a.accepted + b.accepted,
    duplicates: a.duplicates + b.duplicates,
    conflicts: a.conflicts + b.conflicts,
    rejected: a.rejected + b.rejected,
    unreadable: a.unreadable + b.unreadable,
  };
}
