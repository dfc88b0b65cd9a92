/** Every limit of the service in one place, each with its reason. docs/limits.md lists them for users. */
export const LIMITS = {
  /** Decoded bytes of one request body: 5,000 events of 1.6 KB; bounds memory per connection. */
  bodyBytesMax: 8 * 1024 * 1024,
  /** Events in one request: bounds the time one transaction holds locks. */
  eventsMax: 5_000,
  /** Canonical bytes of one event: metering data, not prompts. */
  eventBytesMax: 64 * 1024,
  /** Tokens of one class, or counted things, in one event: beyond any call, and sums of them stay exact. */
  quantityMax: 1_000_000_000_000,
  /** Nesting of one event: far beyond any usage object, far below a stack overflow. */
  depthMax: 32,
  /** Characters of an id, source, type, subject or attribution field: they become index keys. */
  nameLengthMax: 256,
  /** Properties copied into dimensions when a price or a meter asks for them. */
  propertyLengthMax: 256,
  /** An event's time may be this far ahead of the receipt: clocks drift, the future has not been used yet. */
  futureMicrosMax: 60 * 60 * 1_000_000,
  /** Events older than this need the scope events:backfill: their periods may be closed (ERGON_LATE_EVENT_DAYS). */
  lateDaysDefault: 35,
  /** Events one transaction takes from its queue: amortises a commit without holding hot rows long. */
  groupEventsMax: 6_000,
  /** Requests waiting for a transaction before new ones are answered 503 with Retry-After: bounds memory. */
  queuedRequestsMax: 4_000,
  /** Decoded bytes of all bodies in flight in one process, for the same reason. */
  inFlightBytesMax: 128 * 1024 * 1024,
  /** Conflicts kept for people to look at, per environment. */
  conflictLogMax: 10_000,
  /** Warnings of one ingest answer: a sender's mistake is mostly the same for every event. */
  warningsMax: 100,
  /** Rows of one answer page. */
  pageSizeMax: 1_000,
  /** Event blocks one list request may decode before it answers with a cursor. */
  blocksScannedMax: 400,
  /** Events one list request may decode before it answers with a cursor: about a second of work. */
  eventsScannedMax: 60_000,
  /** Rows of one usage answer. */
  usageRowsMax: 50_000,
  /** Depth of a run tree (DESIGN section 9). */
  runDepthMax: 32,
  /** Customers listed in the answer of one simulation; its totals are over all. */
  simulatedCustomersMax: 1_000,
  /** Usage of one previewed rate card, and the single events in it. */
  previewedUsageMax: 1_000,
  previewedTransactionsMax: 10_000,
  /** Running totals, and distinct values of unique meters, that one simulation from events may keep in memory. */
  simulatedTotalsMax: 1_000_000,
  simulatedValuesMax: 2_000_000,
  /** Simulations one process runs at a time, the others wait: each keeps a connection and a few threads. */
  simulationsAtOnce: 2,
  /** Longest time of one simulation: its snapshot keeps the database from tidying up behind it. */
  simulationMs: 600_000,
  /** Events a re-rating reads before it commits and lets others in: some 100 ms. */
  rerateEventsTogether: 2_000,
  /** Events of one customer that a dry run rates at once, because it can keep nothing in between. */
  rerateDryRunEventsMax: 20_000,
  /** Re-ratings of an environment that wait or run. */
  reratesOpenMax: 100,
  /** Runs of one answered tree, nearest the root first. */
  runTreeMax: 1_000,
  /** Body of any other request. */
  smallBodyBytesMax: 1024 * 1024,
  /** Prices of its own that one override lays over a card. */
  overridePricesMax: 200,
  /** Overrides with prices of their own over one card: each new version of the card is derived for each. */
  overlaysMax: 1_000,
  /** Counters that a new budget begins with, of what its window has seen before. */
  countedBackMax: 10_000,
  /** Custom meters of an environment: each is asked about every event. */
  metersMax: 200,
  /** Deployments of an environment: their versions are compiled into every process. */
  deploymentsMax: 1_000,
  /** Model names one deployment answers for. */
  deploymentNamesMax: 50,
  /** Versions of one deployment. */
  deploymentVersionsMax: 1_000,
  /** Observations in one request. */
  observationsMax: 1_000,
  /** Latest observations of a deployment that its calibration is folded from: enough for conformal ranks. */
  observationsFoldedMax: 200,
  /** Longest window of one capacity answer: usage is read by the minute. */
  capacityDaysMax: 92,
  /** Reported busy spans that one capacity answer reads. */
  busySpansMax: 150_000,
  /** Requests in one measured step. */
  stepPartsMax: 4_096,
  /** Tokens of one call whose work is counted: ten times the longest context sold. More is a sum of calls, not a call. */
  requestTokensMax: 10_000_000,
  /** Tokens of one training sequence where the event does not say. */
  trainingLengthDefault: 2_048,
  /** Layers of a user's model configuration: eight times the deepest published. */
  modelLayersMax: 1_024,
  /** Model aliases of an environment, and versions of its own provider prices: all are in memory beside the catalog. */
  modelAliasesMax: 1_000,
  priceOverrideVersionsMax: 5_000,
  /** A catalog file: bytes, entries, versions of one entry. It is written under the lock that ingest waits for. */
  catalogBytesMax: 4 * 1024 * 1024,
  catalogEntriesMax: 2_000,
  catalogVersionsMax: 100,
  /** Keys of one kind that a catalog file is compared with, so that what it lacks can be told. */
  catalogKeysMax: 10_000,
  /** Problems of a catalog file in one answer. */
  catalogProblemsMax: 100,
  /** Budgets of an environment, and how many of them may apply to one request (DESIGN section 9). */
  budgetsMax: 5_000,
  budgetsApplyMax: 64,
  /** Longest life of a hold before it expires by itself; it may be extended again and again. */
  holdSecondsMax: 86_400,
  /** Holds and settlements that one statement takes together. */
  holdsTogetherMax: 200,
  /** Kinds of calls (customer, model, feature, windows of budgets) whose demand for leases a process remembers. */
  leaseKeysMax: 50_000,
  /** The longest a hold waits for the database where a budget that may apply is not `closed` on its failure. */
  storeAnswerMs: 2_000,
  /** Steps of holds that one process keeps for the database while it cannot be reached: some 20 MB. */
  rememberedStepsMax: 20_000,
  /** How long a key that was verified is believed while the database does not answer: nothing is admitted beyond it. */
  keyBelievedWithoutStoreMs: 900_000,
  /** Members of a customer's metadata. */
  metadataMembersMax: 50,
  /** Fees, allowances or entitlements of one plan or add-on: each is looked at whenever a period opens or closes. */
  planPartsMax: 100,
  /** Phases, add-ons and coupons of one subscription, and subscriptions and overrides of one customer: ingest reads them whole. */
  termsMax: 100,
  /** Periods that one move of a sandbox's clock closes before it answers; the job closes the rest. */
  clockPeriodsMax: 2_000,
  /** Webhook endpoints of an environment: every event is handed to each that listens. */
  webhookEndpointsMax: 50,
  /** Attempts at one delivery, about two days with the pauses between, before it is dead and waits for a replay. */
  webhookAttemptsMax: 12,
  /** The longest a receiver may take: it should store the event and answer. */
  webhookTimeoutMs: 10_000,
  /** Bytes read of a receiver's answer. */
  webhookAnswerBytesMax: 16 * 1024,
  /** Deliveries one process has in flight, and of those to one endpoint, so that a slow one does not stop the others. */
  webhooksInFlightMax: 32,
  webhooksInFlightPerEndpointMax: 8,
  /** Postings of a customer that a forecast reads: bounds the answer of a wallet. */
  forecastPostingsMax: 5_000,
  /** Levels of a wallet's alerts, of each kind. */
  alertLevelsMax: 20,
  /** Credit units of an environment. */
  creditUnitsMax: 200,
  /** Policies of an environment: each is asked about every admission. */
  policiesMax: 100,
  /** A policy's condition: characters, nodes and nesting, so that asking it costs microseconds whatever it says. */
  conditionLengthMax: 2_000,
  conditionNodesMax: 200,
  conditionDepthMax: 16,
  /** Decisions one replay looks at. */
  replayDecisionsMax: 1_000,
  /** Watched wallets one round of the job reads at a time. */
  watchedAtOnce: 500,
} as const;
