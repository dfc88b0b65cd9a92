import { decimal } from '@ergon/exact';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ByteWriter } from '../../event/byte-writer.ts';
import { writeCanonical } from '../../event/canonical.ts';
import { parseInstant } from '../../event/instant.ts';
import { decodeRating, writeLine, writeRating } from '../../record/encode-rating.ts';
import { recordedDimensions } from '../../record/prepare.ts';
import { EventDimensions } from './event-dimensions.ts';
import { StoredEvent } from './stored-event.ts';
import { ratingHead } from './stored-lines.ts';

/** Text that would end a member early, were it not escaped. */
const hostile = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.constantFrom('","p":"', '"]', ',"l":', '\\', '"],"m":["', '"', ',"q":['),
);
const quantity = fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n }).map((value) => decimal(value));
const rating = fc.record({
  customer: fc.option(fc.nat()),
  filledTime: fc.option(fc.constant(1_795_000_000_000_000)),
  quantities: fc.array(fc.record({ meter: fc.constantFrom('requests', 'input_tokens'), quantity }), { maxLength: 4 }),
  contributions: fc.array(fc.tuple(fc.constantFrom('own.meter', 'other'), hostile), { maxLength: 2 }),
  quality: fc.constantFrom(null, 'reported'),
  model: fc.option(fc.record({ canonical: hostile, family: hostile }), { nil: undefined }),
  version: fc.constantFrom(null, 7),
  period: fc.constantFrom(null, '2026-11-01', '2026-11-01@9'),
  currency: fc.constantFrom(null, 'USD'),
  hasLine: fc.boolean(),
  flags: fc.array(fc.record({ code: fc.constant('odd'), detail: hostile }), { maxLength: 1 }),
});

test('the beginning of a rating reads as the whole of it does, whatever texts are in it', () => {
  fc.assert(
    fc.property(rating, ({ hasLine, ...parts }) => {
      const lines = new ByteWriter(4096);
      const line = { meter: 'requests', bucket: 'x/all', units: 0n, shares: [], absorbed: undefined } as const;
      if (hasLine) writeLine(lines, { ...line, quantity: decimal(1), before: decimal(0), after: decimal(1) });
      const writer = new ByteWriter(4096);
      writeRating(writer, { ...parts, lines: lines.take(), cost: undefined, unrated: [], work: undefined });
      const text = Buffer.from(writer.take()).toString();
      const whole = decodeRating(text);
      const head = ratingHead(text);
      expect({ c: head.c, t: head.t ?? null, p: head.p ?? null, q: head.q }).toEqual({
        c: whole.customer,
        t: whole.filledTime,
        p: whole.period,
        q: whole.quantities,
      });
      expect(head.m ?? []).toEqual(whole.model === null ? [] : [whole.model.canonical, whole.model.family]);
    }),
    { numRuns: 500 },
  );
});

const scalar = fc.oneof(
  hostile,
  fc.constantFrom(',"type":"x', '"time":"2026', '}', '{"data":{', 'plain'),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.boolean(),
);
const member = fc.oneof(
  { weight: 4, arbitrary: scalar },
  fc.constant(null),
  fc.array(scalar, { maxLength: 2 }),
  fc.dictionary(fc.constantFrom('model', 'type', 'a'), scalar, { maxKeys: 2 }),
);
const stored = fc.record(
  {
    data: fc.dictionary(fc.oneof(fc.constantFrom('model', 'team', 'status', 'final', 'a', 'z'), hostile), member, {
      maxKeys: 6,
    }),
    id: fc.constantFrom('i', ',"type":"x"'),
    source: hostile,
    subject: hostile,
    time: fc.constantFrom('2026-11-21T10:00:00.000001Z', '2026-11-21T10:00:00Z'),
    traceparent: hostile,
    // An extension attribute, which may hold anything: nothing of it is taken for the event.
    zone: fc.constantFrom({ a: 0, time: '2020-01-01T00:00:00Z', type: 'other' }, 'plain'),
    type: fc.constantFrom('llm.call', 'a "quoted" one', 'event.void'),
  },
  { requiredKeys: ['data', 'id', 'source', 'type'] },
);

test('what is read off the text of an event is what its body says, whatever texts are in it', () => {
  fc.assert(
    fc.property(stored, fc.boolean(), (body, isParsed) => {
      const writer = new ByteWriter(4096);
      writeCanonical(writer, body);
      const event = new StoredEvent(Buffer.from(writer.take()).toString(), 7, false);
      if (isParsed) expect(event.id).toBe(body.id);
      expect(event.type).toBe(body.type);
      expect(event.occurredAt).toBe(body.time === undefined ? 7 : parseInstant(body.time));
      for (const name of ['model', 'team', 'a', 'absent']) {
        const value = Object.hasOwn(body.data, name) ? body.data[name] : undefined;
        expect([name, event.text(name)]).toEqual([name, typeof value === 'string' ? value : undefined]);
      }
      expect([event.source, event.subject]).toEqual([body.source, body.subject]);
    }),
    { numRuns: 2_000 },
  );
});

const text = fc.constantFrom(undefined, 'a', 'b');
const data = fc.record(
  {
    model: fc.constantFrom('gpt-5', 'o3'),
    feature: text,
    user: text,
    team: text,
    agent: text,
    kind: text,
    status: fc.constantFrom('ok', 'error'),
    api: fc.constantFrom('responses', 'chat.completions'),
    tokens: fc.record({ input: fc.nat(500), cache_read: fc.nat(500), output: fc.nat(500) }),
    properties: fc.record({ model: text, tier: text, shelf: text, size: fc.integer() }, { requiredKeys: [] }),
  },
  { requiredKeys: [] },
);
const NAMES = [
  'type',
  'status',
  'model',
  'canonical_model',
  'model_family',
  'feature',
  'user',
  'team',
  'agent',
  'kind',
];
const MORE = ['prompt_tokens', 'shelf', 'size', 'tier', 'provider', 'service_tier', 'api'];

test('dimensions read one by one are those of the normalised event', () => {
  fc.assert(
    fc.property(
      data,
      fc.constantFrom('llm.call', 'sale'),
      fc.subarray([...NAMES, ...MORE]),
      fc.option(fc.constant({ canonical: 'm', family: 'f' })),
      (members, type, asked, model) => {
        const body = JSON.stringify({ data: members, id: 'i', source: 's', type });
        const tokens = Object.entries(members.tokens ?? {}).filter(([, count]) => count > 0);
        const quantities = tokens.map(([name, count]): [string, string] => [`${name}_tokens`, String(count)]);
        const stored = JSON.stringify({
          c: 1,
          q: quantities,
          ...(model !== null && { m: [model.canonical, model.family] }),
        });
        const event = new StoredEvent(body, 0, true);
        const found = new EventDimensions(new Set(asked)).of(event, ratingHead(stored), stored);
        const whole = recordedDimensions(event, { model, work: undefined });
        for (const name of asked) expect([name, found[name]]).toEqual([name, whole[name]]);
      },
    ),
    { numRuns: 500 },
  );
});
