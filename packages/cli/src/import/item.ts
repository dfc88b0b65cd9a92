/** One record of an input, in the order in which the input holds it. */
export type ImportItem = ImportEvent | ImportProblem;

/** A record that became an event. */
export type ImportEvent = {
  readonly kind: 'event';
  readonly source: string;
  readonly id: string;
  /** The event as one line of JSON, exactly as it will be sent. */
  readonly line: string;
  /** Where it came from, for messages: `trace.csv:12`. */
  readonly place: string;
};

/** A record that cannot become an event. It is counted and shown; its neighbours are imported. */
export type ImportProblem = { readonly kind: 'problem'; readonly place: string; readonly detail: string };
