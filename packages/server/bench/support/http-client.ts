import { connect, type Socket } from 'node:net';

export type RawAnswer = { readonly status: number; readonly body: string };

/**
 * One keep-alive HTTP/1.1 connection that sends one request at a time. A client of its own because the generator shares two
 * cores with what it measures: Node's costs several times as much processor time a request.
 */
export class HttpConnection {
  readonly #socket: Socket;
  readonly #path: string;
  readonly #head: string;
  #received: Buffer = Buffer.alloc(0);
  #waiting: { resolve: (answer: RawAnswer) => void; reject: (error: Error) => void } | undefined;
  #failure: Error | undefined;

  private constructor(socket: Socket, path: string, head: string) {
    this.#socket = socket;
    this.#path = path;
    this.#head = head;
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error('the connection was closed')));
  }

  /** @param headers lines as `name: value`, without their ends. */
  static open(url: string, path: string, headers: readonly string[]): Promise<HttpConnection> {
    const { hostname, port, host } = new URL(url);
    const head = [` HTTP/1.1`, `host: ${host}`, ...headers, 'content-length: '].join('\r\n');
    return new Promise((resolve, reject) => {
      const socket = connect({ host: hostname, port: Number(port), noDelay: true });
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(new HttpConnection(socket, path, head));
      });
    });
  }

  /** @param path another than the connection's. */
  post(body: Buffer, path = this.#path): Promise<RawAnswer> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#socket.cork();
      this.#socket.write(`POST ${path}${this.#head}${body.length}\r\n\r\n`, 'latin1');
      this.#socket.write(body);
      this.#socket.uncork();
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#waiting?.reject(error);
    this.#waiting = undefined;
  }

  #take(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    const headEnd = this.#received.indexOf('\r\n\r\n');
    if (headEnd === -1) return;
    const head = this.#received.toString('latin1', 0, headEnd);
    const body = bodyOf(head, this.#received.subarray(headEnd + 4));
    if (body === undefined) return;
    this.#received = Buffer.alloc(0);
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.resolve({ status: Number(head.slice(9, 12)), body });
  }
}

/** The whole body, or `undefined` while some of it is missing. */
function bodyOf(head: string, rest: Buffer): string | undefined {
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
  if (length !== undefined) return rest.length < Number(length) ? undefined : rest.toString('utf8', 0, Number(length));
  let text = '';
  for (let at = 0; ; ) {
    const lineEnd = rest.indexOf('\r\n', at);
    if (lineEnd === -1) return undefined;
    const size = Number.parseInt(rest.toString('latin1', at, lineEnd), 16);
    if (lineEnd + 4 + size > rest.length) return undefined;
    if (size === 0) return text;
    text += rest.toString('utf8', lineEnd + 2, lineEnd + 2 + size);
    at = lineEnd + 4 + size;
  }
}
