import { expect, test } from 'vitest';
import { renderProblem } from './problem.ts';

test.each([
  ['body_too_large', 'close'],
  ['too_many_events', undefined],
  ['malformed_json', undefined],
] as const)('%s: connection %s', (code, connection) => {
  expect(renderProblem({ code, detail: 'why' }, '/v1/events', 'request').headers.connection).toBe(connection);
});
