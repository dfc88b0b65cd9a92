import { expect, test } from 'vitest';
import { captureEvent } from './capture-event.ts';

const CONTEXT = { environmentId: 1, receivedAt: Date.UTC(2026, 10, 20) * 1000, oldest: 0 };

function bodyHash(event: unknown): string {
  const captured = captureEvent(event, 0, CONTEXT);
  if (!captured.ok) throw new Error(captured.error.detail);
  return captured.event.bodyHash;
}

test('a member of the envelope that is null is the same as none', () => {
  const nulls = { id: 'a', type: 'x', source: null, subject: null, time: null, data: null };
  expect(bodyHash(nulls)).toBe(bodyHash({ id: 'a', type: 'x' }));
});

test('what is null in the data of a call says nothing', () => {
  const data = { user: null, status: null, attempt: null, final: null };
  expect(captureEvent({ id: 'a', type: 'llm.call', data }, 0, CONTEXT)).toMatchObject({
    event: { status: 'ok', attempt: 1, isFinal: true },
  });
});
