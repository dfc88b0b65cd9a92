import { z } from '@hono/zod-openapi';
import { externalId, instantOrNull, instantOutput, instantText, pageQuery } from '../http/wire.ts';
import { OUTBOX_EVENT_TYPES } from '../outbox/index.ts';
import type { DeliveryRow } from './delivery-store.ts';
import type { EndpointRow } from './endpoint-store.ts';

export const endpointParams = z.strictObject({ id: z.string().regex(/^we_[0-9a-f]{24}$/, 'the id of an endpoint') });
export const deliveryParams = z.strictObject({ id: z.string().regex(/^\d{1,18}$/, 'the id of a delivery') });

const TYPES = Object.keys(OUTBOX_EVENT_TYPES);
const FAMILIES = [...new Set(TYPES.map((type) => `${type.split('.')[0]}.*`))];

const eventTypes = z
  .array(
    z
      .string()
      .refine(
        (type) => TYPES.includes(type) || FAMILIES.includes(type),
        `not a type of event: ${[...TYPES, ...FAMILIES].join(', ')}`,
      ),
  )
  .max(50)
  .default([])
  .openapi({ description: 'Types it wants, or families such as `wallet.*`; none means all' });

export const endpointBody = z
  .strictObject({
    url: z.string().min(1).max(2048).openapi({ example: 'https://example.com/hooks/ergon' }),
    description: z.string().max(256).nullish(),
    event_types: eventTypes,
  })
  .openapi('WebhookEndpointRequest');

export const endpointPutBody = z
  .strictObject({ ...endpointBody.shape, enabled: z.boolean().default(true) })
  .openapi('WebhookEndpointUpdate');

const endpointFields = {
  id: z.string(),
  url: z.string(),
  description: z.string().nullable(),
  event_types: z.array(z.string()),
  enabled: z.boolean(),
  disabled_reason: z.string().nullable(),
  previous_secret_until: instantOutput.nullable().openapi({ description: 'Until then two secrets sign' }),
  created_at: instantOutput,
};
export const endpointAnswer = z.strictObject(endpointFields).openapi('WebhookEndpoint');
export const endpointWithSecret = z
  .strictObject({
    ...endpointFields,
    secret: z.string().optional().openapi({
      description:
        'The signing secret, this once. Left out where an Idempotency-Key repeats the answer: rotate it then',
      example: 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD',
    }),
  })
  .openapi('WebhookEndpointWithSecret');

const OVERLAP_SECONDS_MAX = 30 * 86_400;
export const rotateBody = z
  .strictObject({
    overlap_seconds: z.number().int().min(0).max(OVERLAP_SECONDS_MAX).default(86_400).openapi({
      description: 'How long the old secret signs too',
    }),
  })
  .default({ overlap_seconds: 86_400 })
  .openapi('WebhookRotateRequest');

export const deliveryQuery = pageQuery.extend({
  status: z.enum(['pending', 'delivered', 'dead']).optional(),
  endpoint: endpointParams.shape.id.optional(),
  type: z.string().max(64).optional(),
  customer: externalId.optional(),
});

export const deliveryAnswer = z
  .strictObject({
    id: z.string(),
    endpoint: z.string(),
    event: z.string().openapi({ description: 'The happening; the same at every endpoint' }),
    type: z.string(),
    customer: z.string().nullable(),
    status: z.enum(['pending', 'delivered', 'dead']),
    attempts: z.number().int(),
    occurred_at: instantOutput,
    next_attempt_at: instantOutput.nullable(),
    last_attempt_at: instantOutput.nullable(),
    last_status: z
      .number()
      .int()
      .nullable()
      .openapi({ description: 'HTTP status of the last answer; null without one' }),
    last_error: z.string().nullable(),
    delivered_at: instantOutput.nullable(),
    data: z.record(z.string(), z.unknown()),
  })
  .openapi('WebhookDelivery');

export function endpointOf(row: EndpointRow): z.infer<typeof endpointAnswer> {
  return {
    id: row.id,
    url: row.url,
    description: row.description,
    event_types: row.event_types,
    enabled: row.disabled_at === null,
    disabled_reason: row.disabled_reason,
    previous_secret_until: instantOrNull(row.previous_secret_until),
    created_at: instantText(row.created_at),
  };
}

export function deliveryOf(row: DeliveryRow): z.infer<typeof deliveryAnswer> {
  return {
    id: String(row.id),
    endpoint: row.endpoint_id,
    event: String(row.event_id),
    type: row.type,
    customer: row.customer,
    status: row.status,
    attempts: row.attempts,
    occurred_at: instantText(row.occurred_at),
    next_attempt_at: row.status === 'pending' ? instantText(row.next_attempt_at) : null,
    last_attempt_at: instantOrNull(row.last_attempt_at),
    last_status: row.last_status,
    last_error: row.last_error,
    delivered_at: instantOrNull(row.delivered_at),
    data: row.data,
  };
}
