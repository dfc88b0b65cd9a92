import { gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';

/** One hostile request: bytes and the headers that describe, or misdescribe, them. */
export type Hostile = {
  readonly name: string;
  readonly body: Buffer;
  readonly headers: Readonly<Record<string, string>>;
};

const JSON_TYPE = { 'content-type': 'application/json' };
const LINES_TYPE = { 'content-type': 'application/x-ndjson' };

const NAMES = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  'valueOf',
  '',
  ' ',
  '\u0000',
  'a\u0000b',
  '\ud800',
  'x\udc00y',
  '\ufeff',
  '\u202e',
  '‮evil',
  "'; drop table event_block; --",
  '{"$gt":""}',
  '../../etc/passwd',
  '%00',
  '\n',
  '\\',
  '"',
  'NaN',
  'null',
  '💥'.repeat(60),
  'ß'.repeat(128),
  'a'.repeat(256),
  'a'.repeat(257),
  'a'.repeat(70_000),
];

/** JSON texts, not values: what JSON.stringify would never write is the point. */
const HOSTILE_JSON: readonly string[] = [
  'null',
  'true',
  'false',
  '0',
  '-0',
  '-1',
  '0.1',
  '1e-400',
  '1e400',
  '-1e400',
  '1e308',
  '1E+2',
  '9007199254740991',
  '9007199254740992',
  '9007199254740993',
  '18446744073709551616',
  '123456789012345678901234.000000000000000001',
  '99999999999999999999999999999999999999999999',
  '1'.repeat(400),
  `0.${'3'.repeat(400)}`,
  `1e${'9'.repeat(60)}`,
  '[]',
  '{}',
  '[[]]',
  '[null]',
  '[1,"2",{"a":[]}]',
  '{"__proto__":{"admin":true}}',
  '{"constructor":{"prototype":{"polluted":1}}}',
  '{"a":1,"a":2}',
  `${'['.repeat(33)}${']'.repeat(33)}`,
  `${'{"a":'.repeat(40)}1${'}'.repeat(40)}`,
  '"2026-11-21T10:00:00Z"',
  '"2026-02-30T10:00:00Z"',
  '"9999-12-31T23:59:60Z"',
  '"-1"',
  '"0x10"',
  '"\\u0000"',
  '"\\ud800"',
  '"\\udfff\\ud800"',
  '"\\uD83D\\uDE00"',
  ...NAMES.map((name) => JSON.stringify(name)),
];

const hostileJson = fc.oneof(
  { arbitrary: fc.constantFrom(...HOSTILE_JSON), weight: 6 },
  { arbitrary: fc.json({ maxDepth: 4 }), weight: 2 },
  { arbitrary: fc.string({ unit: 'binary', maxLength: 40 }).map((text) => JSON.stringify(text)), weight: 1 },
  { arbitrary: fc.bigInt().map(String), weight: 1 },
  { arbitrary: fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)), weight: 1 },
);

const ENVELOPE = ['specversion', 'id', 'source', 'type', 'subject', 'time', 'data', 'datacontenttype', 'dataschema'];
const DATA = [
  ...['provider', 'api', 'model', 'feature', 'user', 'team', 'agent', 'deployment', 'accelerator', 'kind', 'run_id'],
  ...[
    'parent_run_id',
    'work_item',
    'call_id',
    'hold_id',
    'status',
    'attempt',
    'final',
    'usage',
    'tokens',
    'properties',
  ],
  ...['count', 'documents', 'tool_calls', 'flops', 'accelerator_seconds', 'source', 'id', 'reason', 'duration_ms'],
];
const USAGE = [
  ...['prompt_tokens', 'completion_tokens', 'total_tokens', 'prompt_tokens_details', 'completion_tokens_details'],
  ...['input_tokens', 'output_tokens', 'cache_read_input_tokens', 'cache_creation_input_tokens', 'cache_creation'],
  ...[
    'server_tool_use',
    'service_tier',
    'cost',
    'iterations',
    'input_tokens_details',
    'promptTokenCount',
    'pages_processed',
  ],
];
const TOKENS = ['input', 'output', 'cache_read', 'cache_write_5m', 'reasoning', 'input_audio', 'total', '__proto__'];
const TYPES = [
  ...['llm.call', 'embedding.call', 'retrieval.query', 'agent.action', 'api.call', 'compute.run', 'custom.event'],
  ...['event.void', 'anything.else'],
];
const APIS = ['chat.completions', 'responses', 'messages', 'generateContent', 'nonsense'];

const q = JSON.stringify;

/** Members as JSON text; a later one repeats an earlier name where the generator says so (duplicate keys). */
function objectText(members: readonly (readonly [string, string])[]): string {
  return `{${members.map(([name, value]) => `${q(name)}:${value}`).join(',')}}`;
}

/** An event that is right but for a few members, named ones and strange ones, at any level. */
const nearlyEvent: fc.Arbitrary<string> = fc
  .record({
    id: fc.integer({ min: 0, max: 5_000 }),
    type: fc.constantFrom(...TYPES),
    api: fc.constantFrom(...APIS),
    subject: fc.integer({ min: 0, max: 40 }),
    envelope: spoiled([...ENVELOPE, 'traceparent', 'EXT', '__proto__'], 2),
    data: spoiled([...DATA, '__proto__', 'constructor'], 3),
    usage: spoiled(USAGE, 3),
    tokens: spoiled(TOKENS, 3),
    properties: spoiled(['region', 'tier', 'amount', 'who', '__proto__', 'token_class', 'model'], 3),
    isCanonical: fc.boolean(),
  })
  .map((parts) => {
    const usage = objectText([['prompt_tokens', '12'], ['completion_tokens', '7'], ...parts.usage]);
    const tokens = objectText([['input', '12'], ['output', '7'], ...parts.tokens]);
    const data = objectText([
      ['provider', '"openai"'],
      ['api', q(parts.api)],
      ['model', '"gpt-5-mini"'],
      parts.isCanonical ? ['tokens', tokens] : ['usage', usage],
      ['properties', objectText([['amount', '"1.5"'], ['who', '"w"'], ...parts.properties])],
      ['source', '"fuzz"'],
      ['id', q(`f${parts.id}`)],
      ...parts.data,
    ]);
    return objectText([
      ['specversion', '"1.0"'],
      ['id', q(`f${parts.id}`)],
      ['source', '"fuzz"'],
      ['type', q(parts.type)],
      ['subject', q(`hostile_${parts.subject}`)],
      ['data', data],
      ...parts.envelope,
    ]);
  });

function spoiled(names: readonly string[], count: number): fc.Arbitrary<[string, string][]> {
  return fc.array(fc.tuple(fc.constantFrom(...names), hostileJson), { maxLength: count });
}

const nearlyEvents: fc.Arbitrary<Hostile> = fc
  .array(nearlyEvent, { minLength: 1, maxLength: 8 })
  .map((events) => ({ name: 'nearly events', body: Buffer.from(`[${events.join(',')}]`), headers: JSON_TYPE }));

const oneNearly: fc.Arbitrary<Hostile> = nearlyEvent.map((event) => ({
  name: 'nearly an event',
  body: Buffer.from(event),
  headers: { 'content-type': 'application/cloudevents+json' },
}));

const anyJson: fc.Arbitrary<Hostile> = hostileJson.map((text) => ({
  name: 'any JSON',
  body: Buffer.from(text),
  headers: JSON_TYPE,
}));

const mixedLines: fc.Arbitrary<Hostile> = fc
  .array(
    fc.oneof(nearlyEvent, hostileJson, fc.constantFrom('', '   ', '\t', '{', 'garbage', '\r', '[{},{}]', '\u2028')),
    {
      minLength: 1,
      maxLength: 12,
    },
  )
  .chain((lines) =>
    fc.constantFrom('\n', '\r\n', '\n\n').map((ending) => ({
      name: 'mixed lines',
      body: Buffer.from(lines.join(ending)),
      headers: LINES_TYPE,
    })),
  );

const anyBytes: fc.Arbitrary<Hostile> = fc
  .record({ bytes: fc.uint8Array({ maxLength: 300 }), type: fc.constantFrom(JSON_TYPE, LINES_TYPE) })
  .map(({ bytes, type }) => ({ name: 'any bytes', body: Buffer.from(bytes), headers: type }));

/** A sound body with a few bytes changed, cut or doubled: broken UTF-8, broken JSON, or sound by luck. */
const brokenBytes: fc.Arbitrary<Hostile> = fc
  .record({
    event: nearlyEvent,
    at: fc.array(fc.tuple(fc.nat({ max: 2_000 }), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 6 }),
    cut: fc.option(fc.nat({ max: 2_000 })),
    type: fc.constantFrom(JSON_TYPE, LINES_TYPE),
  })
  .map(({ event, at, cut, type }) => {
    const body = Buffer.from(event);
    for (const [place, value] of at) body[place % body.length] = value;
    return { name: 'broken bytes', body: cut === null ? body : body.subarray(0, cut), headers: type };
  });

/** Compressed bodies: right, cut short, spoiled, or of another kind than the header says. */
const compressed: fc.Arbitrary<Hostile> = fc
  .record({
    event: nearlyEvent,
    kind: fc.constantFrom('gzip', 'zstd'),
    says: fc.constantFrom('gzip', 'zstd', 'GZIP ', 'identity', 'br', 'gzip, zstd', '\u00ff'),
    cut: fc.option(fc.nat({ max: 400 })),
    flip: fc.option(fc.nat({ max: 400 })),
    tail: fc.uint8Array({ maxLength: 8 }),
  })
  .map(({ event, kind, says, cut, flip, tail }) => {
    const packed = kind === 'gzip' ? gzipSync(event) : zstdCompressSync(event);
    if (flip !== null) packed[flip % packed.length] = (packed[flip % packed.length] ?? 0) ^ 0x55;
    const body = Buffer.concat([cut === null ? packed : packed.subarray(0, cut), tail]);
    return { name: `compressed ${kind} as ${says}`, body, headers: { ...JSON_TYPE, 'content-encoding': says } };
  });

const strangeHeaders: fc.Arbitrary<Hostile> = fc
  .record({
    event: nearlyEvent,
    type: fc.constantFrom(
      ...[
        '',
        'text/plain',
        'application/json; charset=utf-16',
        'application/xml',
        'APPLICATION/JSON',
        'a/b;'.repeat(500),
      ],
      ...['multipart/form-data; boundary=x', 'application/cloudevents-batch+json', 'application/x-ndjson;;', '/'],
    ),
    id: fc.constantFrom('', 'x'.repeat(5_000), '../..', '\u00e9', 'ok-id'),
    accept: fc.constantFrom('*/*', 'text/html', 'application/xml;q=1', ','.repeat(200)),
  })
  .map(({ event, type, id, accept }) => ({
    name: `content type ${type.slice(0, 30)}`,
    body: Buffer.from(event),
    headers: { 'content-type': type, 'x-request-id': id, accept },
  }));

/** `count` generated requests; the same seed gives the same ones. */
export function generated(count: number, seed: number): Hostile[] {
  const any = fc.oneof(
    { arbitrary: nearlyEvents, weight: 8 },
    { arbitrary: oneNearly, weight: 4 },
    { arbitrary: anyJson, weight: 2 },
    { arbitrary: mixedLines, weight: 3 },
    { arbitrary: anyBytes, weight: 1 },
    { arbitrary: brokenBytes, weight: 3 },
    { arbitrary: compressed, weight: 3 },
    { arbitrary: strangeHeaders, weight: 1 },
  );
  return fc.sample(any, { numRuns: count, seed });
}

const small = (id: string) =>
  `{"id":${q(id)},"source":"fuzz","type":"llm.call","subject":"hostile_0","data":{"model":"gpt-5","tokens":{"input":1}}}`;

/** The large and the deep: few, because each costs. */
export function heavy(): Hostile[] {
  const zeros = Buffer.alloc(64 * 1024 * 1024, 0x20);
  const many = (count: number) => `[${Array.from({ length: count }, (_, index) => small(`m${index}`)).join(',')}]`;
  const wide = `{${Array.from({ length: 50_000 }, (_, index) => `"k${index}":1`).join(',')}}`;
  const inData = (text: string) => `{"id":"d","type":"llm.call","subject":"hostile_0","data":${text}}`;
  const json = (name: string, text: string): Hostile => ({ name, body: Buffer.from(text), headers: JSON_TYPE });
  const packed = (name: string, encoding: string, body: Buffer): Hostile => ({
    name,
    body,
    headers: { ...JSON_TYPE, 'content-encoding': encoding },
  });
  return [
    json('deep arrays', `${'['.repeat(100_000)}${']'.repeat(100_000)}`),
    json('deep arrays, open', '['.repeat(4_000_000)),
    json('deep objects', inData(`${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`)),
    json('deep data', inData(`${'['.repeat(500)}1${']'.repeat(500)}`)),
    json('deep usage', inData(`{"usage":${'{"a":'.repeat(30)}1${'}'.repeat(30)}}`)),
    json('5,000 events', many(5_000)),
    json('5,001 events', many(5_001)),
    json('100,000 nulls', `[${'null,'.repeat(99_999)}null]`),
    json('many numbers that no double holds', inData(`{"a":[${'12345678901234567890,'.repeat(2_500)}1]}`)),
    json('many long numbers in one body', `[${'12345678901234567890.5e-3,'.repeat(300_000)}1]`),
    json('wide', wide),
    json('wide data', inData(wide)),
    json('wide properties', inData(`{"properties":${wide}}`)),
    json('long string', inData(`{"note":"${'x'.repeat(7_000_000)}"}`)),
    json('long escapes', inData(`{"note":"${'\\u0000'.repeat(1_000_000)}"}`)),
    json('long key', `{"${'k'.repeat(6_000_000)}":1}`),
    json('long number', inData(`{"tokens":{"input":${'9'.repeat(6_000_000)}}}`)),
    json('long fraction', inData(`{"properties":{"amount":0.${'9'.repeat(60_000)}}}`)),
    json('eight MiB and one', ' '.repeat(8 * 1024 * 1024 + 1)),
    { name: 'five thousand broken lines', body: Buffer.from('{\n'.repeat(5_000)), headers: LINES_TYPE },
    { name: 'a million empty lines', body: Buffer.from('\n'.repeat(1_000_000)), headers: LINES_TYPE },
    { name: 'a million lines', body: Buffer.from('1\n'.repeat(1_000_000)), headers: LINES_TYPE },
    packed('gzip bomb', 'gzip', gzipSync(zeros)),
    packed('zstd bomb', 'zstd', zstdCompressSync(zeros)),
    packed('gzip in gzip', 'gzip', gzipSync(gzipSync(zeros))),
    packed('gzip bomb, cut', 'gzip', gzipSync(zeros).subarray(0, 5_000)),
    packed('zstd bomb, cut', 'zstd', zstdCompressSync(zeros).subarray(0, 2_000)),
    packed('empty gzip', 'gzip', Buffer.alloc(0)),
    packed('zstd magic alone', 'zstd', Buffer.from([0x28, 0xb5, 0x2f, 0xfd])),
    // The same customer, as much as one event may say, over and over: no sum may leave what the tables hold.
    ...Array.from({ length: 20 }, (_, round) =>
      json(
        'largest tokens',
        `[${Array.from({ length: 100 }, (__, index) => `{"id":"big${round}_${index}","source":"fuzz","type":"llm.call","subject":"giant","data":{"model":"gpt-5","run_id":"giant_run","tokens":{"input":9007199254740991,"output":9007199254740991}}}`).join(',')}]`,
      ),
    ),
    ...Array.from({ length: 20 }, (_, round) =>
      json(
        'largest amounts',
        `[${Array.from({ length: 100 }, (__, index) => `{"id":"sum${round}_${index}","source":"fuzz","type":"custom.event","subject":"giant","data":{"properties":{"amount":"999999999999999999999999","who":"w${index}"}}}`).join(',')}]`,
      ),
    ),
    ...Array.from({ length: 10 }, (_, round) =>
      json(
        'largest flops',
        `[${Array.from({ length: 100 }, (__, index) => `{"id":"fl${round}_${index}","source":"fuzz","type":"compute.run","subject":"giant","data":{"run_id":"giant_run","flops":"999999999999999999999999","accelerator_seconds":"999999999999999999999999.999999"}}`).join(',')}]`,
      ),
    ),
  ];
}
