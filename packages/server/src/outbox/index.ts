export { enqueue, type OutboxEvent } from './enqueue.ts';
export { OUTBOX_EVENT_TYPES, type OutboxEventType } from './event-types.ts';
