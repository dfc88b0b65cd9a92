import { z } from '@hono/zod-openapi';
import type { EventRating } from '../record/types.ts';

export const computeOutput = z
  .strictObject({
    convention: z.string().nullable().openapi({ description: 'In which FLOPs were counted', example: 'ergon-flops-1' }),
    basis: z.enum(['architecture', 'declared']).nullable(),
    model_hash: z.string().nullable().openapi({ description: 'Of the architecture that was counted' }),
    time_basis: z
      .enum(['modelled', 'calibrated', 'allocated', 'reported'])
      .nullable()
      .openapi({ description: 'Of allocated seconds; billable ones are always modelled' }),
    deployment: z.string().nullable(),
    deployment_version: z.int().nullable(),
    accelerator: z.string().nullable(),
    context_length: z.string().nullable(),
    unmeasured: z.string().nullable().openapi({ description: 'Why the work was not counted' }),
  })
  .nullable()
  .openapi({ description: "How the event's work was counted; null where nothing was known of its model" });

export function describeWork(work: EventRating['work']): z.infer<typeof computeOutput> {
  if (work === undefined) return null;
  const note = 'unmeasured' in work ? undefined : work;
  return {
    convention: note?.convention ?? null,
    basis: note?.basis ?? null,
    model_hash: note?.model ?? null,
    time_basis: note?.timeBasis ?? null,
    deployment: note?.deployment ?? null,
    deployment_version: note?.version ?? null,
    accelerator: note?.accelerator ?? null,
    context_length: note?.context ?? null,
    unmeasured: 'unmeasured' in work ? work.unmeasured : null,
  };
}
