import { type Decimal, isZero } from '@ergon/exact';
import type { UsageRecord } from '@ergon/usage';
import { quantityOf } from '../catalog/custom-meter.ts';
import type { Deployments } from '../deployments/deployments.ts';
import { type MeasuredWork, measureWork, reportedWork, type WorkNote } from '../deployments/measure-work.ts';
import type { CapturedEvent } from '../event/event.ts';
import { LIMITS } from '../limits.ts';
import type { BuiltInQuantity } from './prepare.ts';
import type { RecordedModel } from './types.ts';

/** What is known of an event by now; its work adds to the quantities. */
type Metered = {
  readonly usage: UsageRecord | undefined;
  readonly model: RecordedModel | undefined;
  readonly quantities: BuiltInQuantity[];
};

/** What an event's record says about its work. */
export type EventWork = WorkNote | { readonly unmeasured: string };

/**
 * Counts the work of a call from its actual usage, cached prefix included, failed or not; adds its quantities to those of the
 * event. `undefined` where nothing is known of the model: then there is nothing to add and nothing to say.
 */
export function eventWork(
  event: CapturedEvent,
  { usage, model: standsFor, quantities }: Metered,
  deployments: Deployments,
): EventWork | undefined {
  const { data, type, occurredAt } = event;
  const isRun = type === 'compute.run';
  if (!isRun && type !== 'llm.call' && type !== 'embedding.call') return undefined;
  const model = usage?.model ?? (typeof data.model === 'string' ? data.model : undefined);
  const deployment = typeof data.deployment === 'string' ? data.deployment : undefined;
  if (model === undefined && deployment === undefined) return isRun ? declared(data) : undefined;
  const seconds = isRun ? sent(data.accelerator_seconds) : undefined;
  const isDeclared = isRun && sent(data.flops) !== undefined;
  const measured =
    usage === undefined || isDeclared
      ? undefined
      : measureWork(
          {
            model,
            standsFor: standsFor?.canonical,
            deployment,
            occurredAt,
            tokens: usage.tokens,
            isPromptSummed: usage.isPromptSummed === true,
            allocated: sent(data.accelerator_seconds_allocated) ?? seconds,
            trainingLength: isRun && data.kind === 'training' ? sequenceLength(data.sequence_length) : undefined,
          },
          deployments,
        );
  const work =
    measured ?? (seconds === undefined ? undefined : reportedWork(deployment, occurredAt, seconds, deployments));
  return work === undefined ? (isDeclared ? DECLARED : undefined) : noted(work, quantities);
}

const DECLARED: EventWork = { basis: 'declared' };

function declared(data: CapturedEvent['data']): EventWork | undefined {
  return sent(data.flops) === undefined ? undefined : DECLARED;
}

function noted(work: MeasuredWork, quantities: BuiltInQuantity[]): EventWork {
  if (work.kind === 'unmeasured') return { unmeasured: work.reason };
  quantities.push(...work.quantities);
  return work.note;
}

/** A quantity above zero that the sender put into the event. */
function sent(value: unknown): Decimal | undefined {
  if (value === undefined || value === null) return undefined;
  const quantity = quantityOf(value);
  return quantity === undefined || quantity.coefficient < 0n || isZero(quantity) ? undefined : quantity;
}

/** Training attends within a sequence, so its length matters; without one a customary length is assumed and not hidden. */
function sequenceLength(value: unknown): number {
  const isLength =
    typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= LIMITS.requestTokensMax;
  return isLength ? value : LIMITS.trainingLengthDefault;
}
