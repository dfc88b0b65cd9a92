import { expect, test } from 'vitest';
import type { Fetch } from '../io.ts';
import { createClient, UnreachableError } from './client.ts';
import { ProblemError } from './problem.ts';
import { RETRY_INTERACTIVE, retryAfterMs, retryDelayMs } from './retry.ts';

function clientOf(answers: (() => Response)[]) {
  const waits: number[] = [];
  const requests: Request[] = [];
  const fetch: Fetch = async (request) => {
    requests.push(request);
    const answer = answers.shift();
    if (answer === undefined) throw new Error('asked more often than expected');
    return answer();
  };
  const client = createClient({
    baseUrl: 'http://ergon.test',
    apiKey: 'k',
    fetch,
    nowMs: () => 0,
    random: () => 0.5,
    sleep: async (milliseconds) => void waits.push(milliseconds),
    signal: new AbortController().signal,
  });
  return { client, waits, requests };
}

const answer =
  (status: number, headers: Record<string, string> = {}, body = '{}') =>
  () =>
    new Response(body, { status, headers });
const refuse = () => {
  throw new TypeError('fetch failed', { cause: new Error('connect ECONNREFUSED 127.0.0.1:4600') });
};

test('what may be different a moment later is asked again, as patiently as the server says', async () => {
  const { client, waits, requests } = clientOf([
    answer(503, { 'retry-after': '2' }),
    answer(429),
    refuse,
    answer(200, {}, '{"a":1}'),
  ]);
  const body = { contentType: 'application/json', bytes: '{"x":1}' };
  expect(await client.request('POST', '/v1/events', { body, retry: RETRY_INTERACTIVE })).toBe('{"a":1}');
  expect(waits).toEqual([2_250, 375, 750]);
  expect(requests.map((request) => request.headers.get('authorization'))).toEqual(Array(4).fill('Bearer k'));
  expect(await requests[3]?.text()).toBe('{"x":1}');
});

test.each([400, 401, 404, 409, 413, 422, 500])('%s is told at once', async (status) => {
  const problem = {
    code: 'some_code',
    title: 'No',
    detail: 'because',
    errors: [{ pointer: '/a', detail: 'b' }],
    request_id: 'r1',
  };
  const { client, waits } = clientOf([answer(status, {}, JSON.stringify(problem))]);
  const error = await client
    .request('GET', '/v1/meters', { retry: RETRY_INTERACTIVE })
    .catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(ProblemError);
  expect(error).toMatchObject({
    message: 'No: because',
    problem: { status, code: 'some_code', errors: ['/a: b'], requestId: 'r1' },
  });
  expect(waits).toEqual([]);
});

test('a server that never answers is told with the cause', async () => {
  const { client } = clientOf([refuse, refuse, refuse, refuse]);
  const error = await client.request('GET', '/', { retry: RETRY_INTERACTIVE }).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(UnreachableError);
  expect(error).toMatchObject({ message: 'no answer from http://ergon.test: connect ECONNREFUSED 127.0.0.1:4600' });
});

test('a page of a proxy is told as it is', async () => {
  const { client } = clientOf([answer(404, {}, '<html>\n nothing here </html>')]);
  await expect(client.request('GET', '/', { retry: RETRY_INTERACTIVE })).rejects.toThrow(
    'The server answered 404: <html> nothing here </html>',
  );
});

test('Retry-After in seconds and as a date', () => {
  expect(retryAfterMs('1.5', 0)).toBe(1_500);
  expect(retryAfterMs('Thu, 01 Jan 1970 00:00:05 GMT', 2_000)).toBe(3_000);
  expect(retryAfterMs('soon', 0)).toBeUndefined();
  expect(retryAfterMs(null, 0)).toBeUndefined();
});

test('waits grow, stay below their limit, and are never the same for all', () => {
  const policy = { attemptsMax: 10, delayBaseMs: 100, delayMaxMs: 1_000 };
  const waits = [0, 1, 2, 9].map((attempt) =>
    [0, 0.999].map((random) => Math.round(retryDelayMs(attempt, undefined, policy, () => random))),
  );
  expect(waits).toEqual([
    [50, 100],
    [100, 200],
    [200, 400],
    [500, 1_000],
  ]);
});
