import { lookup } from 'node:dns';
import { type ClientRequest, type IncomingMessage, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { LIMITS } from '../limits.ts';
import type { AddressGuard } from './address-guard.ts';

export type OutboundAnswer =
  | { readonly ok: true; readonly status: number; readonly retryAfterSeconds: number | undefined }
  | { readonly ok: false; readonly error: string };

/** Calls to addresses that clients gave us. */
export type Outbound = {
  /** Why the address will never be called, as far as its text says; `undefined` when it may be. */
  refusal(url: string): string | undefined;
  /** Sends one body. Follows no redirect, reads a bounded part of the answer, ends in time; never throws. */
  post(url: string, headers: Readonly<Record<string, string>>, body: string): Promise<OutboundAnswer>;
};

/**
 * Only https to public addresses; http and private addresses where the operator says so. The name is resolved once and the
 * connection is made to the address that was checked, so a name that changes its answer between (DNS rebinding) gains nothing.
 */
export function createOutbound(guard: AddressGuard): Outbound {
  const refusal = (text: string) => refusalOf(text, guard);
  return {
    refusal,
    async post(text, headers, body) {
      const error = refusal(text);
      if (error !== undefined) return { ok: false, error };
      return send(new URL(text), headers, body, guard);
    },
  };
}

function refusalOf(text: string, guard: AddressGuard): string | undefined {
  if (!URL.canParse(text)) return 'is no absolute URL';
  const url = new URL(text);
  const host = hostOf(url);
  if (url.username !== '' || url.password !== '') return 'must not hold a user or a password';
  if (isIP(host) !== 0 && !guard.allowsAddress(host)) return 'leads to an address that is private or reserved';
  if (url.protocol === 'https:') return undefined;
  const mayBePlain = url.protocol === 'http:' && (guard.allowsHost(host) || guard.isOwn(host));
  return mayBePlain ? undefined : 'must begin with https://';
}

function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '');
}

function send(
  url: URL,
  headers: Readonly<Record<string, string>>,
  body: string,
  guard: AddressGuard,
): Promise<OutboundAnswer> {
  const open = url.protocol === 'https:' ? httpsRequest : httpRequest;
  const bytes = Buffer.from(body);
  return new Promise((resolve) => {
    const fail = (error: unknown): void => resolve({ ok: false, error: messageOf(error) });
    const signal = AbortSignal.timeout(LIMITS.webhookTimeoutMs);
    let request: ClientRequest;
    try {
      request = open(url, {
        method: 'POST',
        headers: { ...headers, 'content-length': String(bytes.length) },
        // A connection of its own each time: what was checked is what is connected to.
        agent: false,
        lookup: guardedLookup(guard),
        signal,
      });
    } catch (error) {
      fail(error);
      return;
    }
    request.on('error', fail);
    // Unheard, a switch to another protocol ends the connection without a response and without an error: we would wait for ever.
    request.on('upgrade', (response, socket) => {
      socket.destroy();
      resolve({ ok: true, status: response.statusCode ?? 0, retryAfterSeconds: undefined });
    });
    request.on('response', (response) => {
      response.on('error', fail);
      readAway(response, () =>
        resolve({
          ok: true,
          status: response.statusCode ?? 0,
          retryAfterSeconds: retryAfter(response.headers['retry-after']),
        }),
      );
    });
    request.end(bytes);
  });
}

/** Resolves as usual, and answers with allowed addresses only; one name that leads to both kinds is refused whole. */
function guardedLookup(guard: AddressGuard): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) {
        callback(error, '', 0);
        return;
      }
      const isForbidden = addresses.some(({ address }) => !guard.allowsAddress(address));
      if (isForbidden && !guard.allowsHost(hostname)) {
        callback(new Error('the name leads to an address that is private or reserved'), '', 0);
        return;
      }
      const [first] = addresses;
      if (first === undefined) callback(new Error('the name has no address'), '', 0);
      else if (options.all === true) callback(null, addresses);
      else callback(null, first.address, first.family);
    });
  };
}

/** The answer's body tells nothing we need: a little of it is read, so that the connection ends well; the rest is cut off. */
function readAway(response: IncomingMessage, done: () => void): void {
  let bytes = 0;
  response.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= LIMITS.webhookAnswerBytesMax) return;
    done();
    response.destroy();
  });
  response.on('end', done);
}

function retryAfter(header: string | undefined): number | undefined {
  return header !== undefined && /^\d{1,6}$/.test(header) ? Number(header) : undefined;
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return 'the request failed';
  if (error.name === 'TimeoutError' || error.name === 'AbortError')
    return `no answer within ${LIMITS.webhookTimeoutMs / 1000} s`;
  return error.message.slice(0, 300);
}
