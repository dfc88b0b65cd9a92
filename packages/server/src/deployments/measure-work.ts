import { COMPUTE_UNIT, countFlops, requestTime, trainingFlops, type Work, workOfTokens } from '@ergon/compute';
import { type Decimal, divide, multiply, scaled } from '@ergon/exact';
import type { Tokens } from '@ergon/usage';
import { ROLLUP_POSITION } from '../catalog/built-in-meters.ts';
import { LIMITS } from '../limits.ts';
import type { CompiledPrice, ServedModel } from './compile-deployment.ts';
import { type Deployments, deploymentAt, type DeploymentVersion } from './deployments.ts';
import { catalogModel, type KnownModel, type ModelSource } from './model-source.ts';

/** How the work of an event was counted: kept beside it, so that no figure has to be believed. */
export type WorkNote = {
  readonly convention?: 'ergon-flops-1';
  /** Hash of the model's architecture; absent where the sender declared the count. */
  readonly model?: string;
  readonly basis: 'architecture' | 'declared';
  /** Of allocated seconds; absent where there is no deployment and so no time. */
  readonly timeBasis?: 'modelled' | 'calibrated' | 'allocated' | 'reported';
  readonly deployment?: string;
  readonly version?: number;
  readonly accelerator?: string;
  /** Bucket of the prompt's length. */
  readonly context?: string;
};

export type Unmeasured =
  | 'inferred_model'
  | 'unknown_deployment'
  | 'ambiguous_deployment'
  | 'too_large'
  | 'summed_prompts';

export type MeasuredWork =
  | { readonly kind: 'measured'; readonly quantities: readonly WorkQuantity[]; readonly note: WorkNote }
  | { readonly kind: 'unmeasured'; readonly reason: Unmeasured };

export type WorkQuantity = {
  readonly meter: string;
  /** Position in a rollup row. */
  readonly position: number;
  readonly quantity: Decimal;
};

export type WorkQuestion = {
  /** As it was reported. */
  readonly model: string | undefined;
  /** The model that the reported name stands for, where somebody knows. */
  readonly standsFor?: string | undefined;
  readonly deployment: string | undefined;
  readonly occurredAt: number;
  readonly tokens: Tokens;
  /** The tokens sum several prompts: attention within each is not attention over their sum. */
  readonly isPromptSummed?: boolean;
  /** Device-seconds that the sender split among requests, from measured steps. */
  readonly allocated: Decimal | undefined;
  /** Tokens of one training sequence, for a training run. */
  readonly trainingLength?: number | undefined;
};

/**
 * The work of one call, from what it used: FLOPs exactly, bytes and seconds at the deployment's reference point. `undefined`
 * where nothing is known of the model, or there are no tokens: unmeasured, never guessed. Pure.
 */
export function measureWork(question: WorkQuestion, deployments: Deployments): MeasuredWork | undefined {
  const place = placeOf(question, deployments);
  if (place === undefined || typeof place === 'string') {
    return place === undefined ? undefined : { kind: 'unmeasured', reason: place };
  }
  const work = workOfTokens(question.tokens);
  const tokens = work.newTokens + work.cachedTokens + work.outputTokens;
  if (tokens === 0) return undefined;
  if (tokens > LIMITS.requestTokensMax) return { kind: 'unmeasured', reason: 'too_large' };
  const { source, version } = place;
  if (source.kind === 'bounded') return { kind: 'unmeasured', reason: 'inferred_model' };
  if (question.isPromptSummed === true) return { kind: 'unmeasured', reason: 'summed_prompts' };
  if (question.trainingLength !== undefined) return trainingWork(place, source, question, tokens);
  if (source.model.encoder !== undefined) return encoderDecoderWork(place, source, work);
  const served = version?.deployment.served;
  const quantities: WorkQuantity[] = [];
  if (served === undefined || version === undefined) {
    add(quantities, 'flops', countFlops(source.model, work).total, 0);
  } else if (!addServed(quantities, served, version, work, question.allocated)) {
    return { kind: 'unmeasured', reason: 'too_large' };
  }
  add(quantities, 'compute_units', unitNanoseconds(source, work), 9);
  const timeBasis = question.allocated === undefined ? (version?.calibration?.timeBasis ?? 'modelled') : 'allocated';
  return { kind: 'measured', quantities, note: noteOf(source, version, work, timeBasis) };
}

export type Place = { readonly source: ModelSource; readonly version: DeploymentVersion | undefined };

/** Where it ran, or at least which model it was. */
export function placeOf(
  question: Pick<WorkQuestion, 'model' | 'standsFor' | 'deployment' | 'occurredAt'>,
  deployments: Deployments,
): Place | Unmeasured | undefined {
  const { model, standsFor, deployment, occurredAt } = question;
  if (deployments.versions.size > 0) {
    if (deployment !== undefined) {
      const version = deploymentAt(deployments, deployment, occurredAt);
      if (version !== undefined) return { source: version.deployment.source, version };
    } else {
      const found = servingAt(deployments, model, occurredAt) ?? servingAt(deployments, standsFor, occurredAt);
      if (found !== undefined) return found;
    }
  }
  const source = catalogModel(model) ?? catalogModel(standsFor);
  if (source !== undefined) return { source, version: undefined };
  return deployment === undefined ? undefined : 'unknown_deployment';
}

/** Several deployments of one model: its FLOPs are known, its seconds are not. */
function servingAt(
  deployments: Deployments,
  model: string | undefined,
  occurredAt: number,
): Place | Unmeasured | undefined {
  const keys = model === undefined ? undefined : deployments.serving.get(model);
  if (model === undefined || keys === undefined) return undefined;
  let first: DeploymentVersion | undefined;
  let isShared = false;
  for (const key of keys) {
    const version = deploymentAt(deployments, key, occurredAt);
    if (version === undefined || !servesNow(version, model)) continue;
    if (first === undefined) first = version;
    else if (first.deployment.source.hash !== version.deployment.source.hash) return 'ambiguous_deployment';
    else isShared = true;
  }
  if (first === undefined) return undefined;
  return { source: first.deployment.source, version: isShared ? undefined : first };
}

function servesNow({ deployment: { spec } }: DeploymentVersion, model: string): boolean {
  return spec.serves === undefined ? spec.model === model : spec.serves.includes(model);
}

/** Whole nanoseconds of more device time than this are not exact in a double; no call takes 100 days. */
const SECONDS_MAX = 8_640_000;

/** False where the call is too large to be one. */
function addServed(
  quantities: WorkQuantity[],
  served: ServedModel,
  version: DeploymentVersion,
  work: Work,
  reported: Decimal | undefined,
): boolean {
  const { acceleratorSeconds: seconds, hbmBytes } = requestTime(served.step, work, served);
  if (!(seconds < SECONDS_MAX)) return false;
  add(quantities, 'flops', countFlops(served.source.model, work).total, 0);
  add(quantities, 'hbm_bytes', hbmBytes, 0);
  const billed = scaled(nanoseconds(seconds), 9);
  if (billed.coefficient > 0n) {
    quantities.push({ meter: 'accelerator_seconds', position: AT.billed, quantity: billed });
  }
  const factor = version.calibration?.factor ?? 1;
  addAllocated(quantities, version, reported ?? (factor === 1 ? billed : scaled(nanoseconds(seconds * factor), 9)));
  return true;
}

/** Three times the forward pass of every sequence. Its time is what was reported: the step model is one of serving. */
function trainingWork({ version }: Place, source: KnownModel, question: WorkQuestion, tokens: number): MeasuredWork {
  const length = Math.min(question.trainingLength ?? tokens, tokens);
  const whole = Math.floor(tokens / length);
  const rest = tokens % length;
  const flops = trainingFlops(source.model, whole, length) + (rest > 0 ? trainingFlops(source.model, 1, rest) : 0n);
  const quantities: WorkQuantity[] = [];
  add(quantities, 'flops', flops, 0);
  const { allocated } = question;
  if (allocated !== undefined && version !== undefined) addAllocated(quantities, version, allocated);
  const work = { newTokens: length, cachedTokens: 0, outputTokens: 0 };
  return { kind: 'measured', quantities, note: noteOf(source, version, work, allocated && 'reported') };
}

/** The prompt goes through the encoder once and the decoder starts from one token. The step model does not time encoders. */
function encoderDecoderWork({ version }: Place, source: KnownModel, work: Work): MeasuredWork {
  const encoderTokens = work.newTokens + work.cachedTokens;
  const read = { newTokens: 1, cachedTokens: 0, outputTokens: work.outputTokens, encoderTokens };
  const quantities: WorkQuantity[] = [];
  add(quantities, 'flops', countFlops(source.model, read).total, 0);
  return { kind: 'measured', quantities, note: noteOf(source, version, work, undefined) };
}

/**
 * Device time that was reported without tokens to count: reranking, vision, a tool's compute. It costs what the deployment
 * costs; FLOPs are never made of seconds and a peak.
 */
export function reportedWork(
  deployment: string | undefined,
  occurredAt: number,
  seconds: Decimal,
  deployments: Deployments,
): MeasuredWork | undefined {
  const version = deployment === undefined ? undefined : deploymentAt(deployments, deployment, occurredAt);
  if (version === undefined) return undefined;
  const quantities: WorkQuantity[] = [];
  addAllocated(quantities, version, seconds);
  const note = { basis: 'declared', timeBasis: 'reported', ...placeNote(version) } as const;
  return { kind: 'measured', quantities, note };
}

function addAllocated(quantities: WorkQuantity[], { deployment }: DeploymentVersion, seconds: Decimal): void {
  quantities.push({ meter: 'accelerator_seconds_allocated', position: AT.allocated, quantity: seconds });
  if (deployment.price === undefined) return;
  const quantity = physicalCost(seconds, deployment.price);
  quantities.push({ meter: 'physical_cost', position: AT.cost, quantity });
}

const AT = {
  billed: ROLLUP_POSITION.get('accelerator_seconds') ?? -1,
  allocated: ROLLUP_POSITION.get('accelerator_seconds_allocated') ?? -1,
  cost: ROLLUP_POSITION.get('physical_cost') ?? -1,
};

const COST_ROUNDING = { places: 12, mode: 'half-away-from-zero' } as const;

/** Seconds x price / 3600 / utilisation, to 12 decimals, half away from zero. */
export function physicalCost(deviceSeconds: Decimal, { perDeviceHour, paidSeconds }: CompiledPrice): Decimal {
  return divide(multiply(deviceSeconds, perDeviceHour), paidSeconds, COST_ROUNDING);
}

function nanoseconds(seconds: number): bigint {
  return BigInt(Math.round(seconds * 1e9));
}

function unitNanoseconds(source: KnownModel, work: Work): bigint {
  return nanoseconds(requestTime(source.unitStep, work, COMPUTE_UNIT).acceleratorSeconds);
}

function add(quantities: WorkQuantity[], meter: string, coefficient: bigint, scale: number): void {
  if (coefficient === 0n) return;
  quantities.push({ meter, position: ROLLUP_POSITION.get(meter) ?? -1, quantity: scaled(coefficient, scale) });
}

/**
 * Notes are few and events are many: one object for each (version or model, prompt length, basis), so that whoever writes it down
 * may remember its text.
 */
const notes = new WeakMap<DeploymentVersion | KnownModel, Map<string, WorkNote>>();

function noteOf(
  source: KnownModel,
  version: DeploymentVersion | undefined,
  work: Work,
  timeBasis: WorkNote['timeBasis'],
): WorkNote {
  const context = contextBucket(work.newTokens + work.cachedTokens);
  const owner = version ?? source;
  let known = notes.get(owner);
  if (known === undefined) {
    known = new Map();
    notes.set(owner, known);
  }
  const key = timeBasis === undefined ? context : `${context} ${timeBasis}`;
  let note = known.get(key);
  if (note === undefined) {
    note = newNote(source, version, context, timeBasis);
    known.set(key, note);
  }
  return note;
}

function newNote(
  source: KnownModel,
  version: DeploymentVersion | undefined,
  context: string,
  timeBasis: WorkNote['timeBasis'],
): WorkNote {
  const note = { convention: 'ergon-flops-1', model: source.hash, basis: 'architecture', context } as const;
  if (version === undefined) return note;
  return { ...note, ...(timeBasis !== undefined && { timeBasis }), ...placeNote(version) };
}

function placeNote({ key, version, deployment }: DeploymentVersion) {
  return { deployment: key, version, accelerator: deployment.accelerator.id };
}

/** Prompt lengths in steps of four: a dimension must have few values. */
export function contextBucket(promptTokens: number): string {
  const [, name] = CONTEXT_BUCKETS.find(([below]) => promptTokens < below) ?? LAST_BUCKET;
  return name;
}

const LAST_BUCKET = [Number.POSITIVE_INFINITY, '256k+'] as const;
const CONTEXT_BUCKETS = [
  [1_024, '0-1k'],
  [4_096, '1k-4k'],
  [16_384, '4k-16k'],
  [65_536, '16k-64k'],
  [262_144, '64k-256k'],
  LAST_BUCKET,
] as const;
