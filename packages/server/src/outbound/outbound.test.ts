import { type AddressInfo, createServer, type Server } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { addressGuard, createOutbound } from './index.ts';

const guard = addressGuard(['127.0.0.1']);
let receiver: Server | undefined;

afterEach(() => {
  receiver?.close();
});

/** The address of a receiver that answers these bytes, whatever it is sent. */
async function answering(bytes: string): Promise<string> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.end(bytes));
  });
  receiver = server;
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

const SWITCHED = 'HTTP/1.1 101 Switching Protocols\r\nupgrade: other\r\nconnection: upgrade\r\n\r\n';

test.each([
  ['an answer', 'HTTP/1.1 204 No Content\r\n\r\n', { ok: true, status: 204 }],
  ['an answer that names no length', 'HTTP/1.1 200 OK\r\n\r\nthanks', { ok: true, status: 200 }],
  ['a redirect', 'HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\n\r\n', { ok: true, status: 302 }],
  ['a switch to another protocol', SWITCHED, { ok: true, status: 101 }],
  ['an answer cut short', 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc', { ok: false, error: 'aborted' }],
  ['no answer', '', { ok: false, error: 'socket hang up' }],
])('%s ends the call', async (_, bytes, expected) => {
  const url = await answering(bytes);
  expect(await createOutbound(guard).post(url, {}, '{}')).toMatchObject(expected);
});
