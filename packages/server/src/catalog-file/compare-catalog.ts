import type { z } from '@hono/zod-openapi';
import type { OverrideSpec } from '../billing/index.ts';
import type { MeterSpec } from '../catalog/custom-meter.ts';
import type { PriceOverrideSpec, providerPriceRequest, rateCardRequest } from '../catalog/index.ts';
import { formatInstant } from '../event/instant.ts';
import { escapePointer } from '../http/hostile-text.ts';
import type { FieldError } from '../http/problem.ts';
import { instantMicros } from '../http/wire.ts';
import { type CatalogFile, KINDS, type Kind } from './catalog-file.ts';
import { type ComparedVersions, compareVersions, type Version } from './compare-versions.ts';
import { differenceOf, type MemberChange } from './difference.ts';
import { type Catalog, type DefinitionSection, type RateCardSpec, type Standing } from './read-catalog.ts';

/** What is to be written, in the words of its kind. */
export type Wanted =
  | { readonly kind: 'meters'; readonly spec: MeterSpec }
  | { readonly kind: DefinitionSection; readonly spec: unknown }
  | ({ readonly kind: 'rate_cards'; readonly spec: RateCardSpec } & Dated)
  | ({ readonly kind: 'provider_price_overrides'; readonly spec: PriceOverrideSpec } & Dated)
  | { readonly kind: 'model_aliases'; readonly spec: string }
  | { readonly kind: 'customer_overrides'; readonly spec: OverrideSpec; readonly customer: string };
type Dated = { readonly effectiveFrom: string | undefined; readonly isUnused: boolean };

/** What names an entry: a customer's override also by the customer, a version to come also by its instant. */
export type EntryName = { readonly key: string; readonly customer?: string; readonly effective_from?: string };

/** An entry of the file that is not yet so. */
export type Difference = EntryName & {
  /** Where the file says it. */
  readonly pointer: string;
  readonly wanted: Wanted;
  readonly action: 'create' | 'change';
  readonly changes: readonly MemberChange[];
};

export type Comparison = {
  /** In the order in which they are to be written. */
  readonly differences: readonly Difference[];
  readonly unchanged: number;
  /** What stands in the environment under the kinds of the file, and is not in the file. */
  readonly absent: readonly (EntryName & { readonly kind: Kind })[];
  readonly problems: readonly FieldError[];
};

type Pair = EntryName & {
  readonly pointer: string;
  readonly wanted: Wanted;
  readonly old: unknown;
  readonly new: unknown;
};
type Section = Omit<Comparison, 'differences' | 'unchanged' | 'absent'> & {
  readonly pairs: readonly Pair[];
  readonly absent: readonly EntryName[];
};

/** The file beside what the environment holds. What the file leaves out is named, and never a difference. */
export function compareCatalog(file: CatalogFile, catalog: Catalog, now: number): Comparison {
  const sections = KINDS.filter((kind) => file[kind] !== undefined).map((kind) => ({
    kind,
    ...compareSection(kind, file, catalog, now),
  }));
  const pairs = sections.flatMap((section) => section.pairs);
  const differences = pairs.flatMap(({ old, new: next, ...pair }): Difference[] => {
    const changes = differenceOf(old, next);
    return changes.length === 0 ? [] : [{ ...pair, action: old === undefined ? 'create' : 'change', changes }];
  });
  return {
    differences,
    unchanged: pairs.length - differences.length,
    absent: sections.flatMap(({ kind, absent }) => absent.map((one) => ({ kind, ...one }))),
    problems: sections.flatMap((section) => section.problems),
  };
}

function compareSection(kind: Kind, file: CatalogFile, catalog: Catalog, now: number): Section {
  switch (kind) {
    case 'meters':
      return plain(kind, file.meters, catalog.meters, (spec) => ({ kind, spec }));
    case 'features':
    case 'plans':
    case 'add_ons':
    case 'coupons':
      return plain<unknown>(kind, file[kind], catalog[kind], (spec) => ({ kind, spec }));
    case 'model_aliases':
      return plain(kind, file.model_aliases, catalog.model_aliases, (spec) => ({ kind, spec }));
    case 'rate_cards':
      return dated(kind, versions(file[kind], cardVersion), catalog[kind], now, (spec, dates) => ({
        kind,
        spec,
        ...dates,
      }));
    case 'provider_price_overrides':
      return dated(kind, versions(file[kind], priceVersion), catalog[kind], now, (spec, dates) => ({
        kind,
        spec,
        ...dates,
      }));
    case 'customer_overrides':
      return overrides(file.customer_overrides, catalog.customer_overrides, now);
  }
}

function plain<Spec>(
  kind: Kind,
  given: Readonly<Record<string, Spec>> = {},
  known: ReadonlyMap<string, Spec> = new Map(),
  wanted: (spec: Spec) => Wanted,
): Section {
  return {
    pairs: Object.entries(given).map(([key, spec]) => ({
      key,
      pointer: pointerTo(kind, key),
      wanted: wanted(spec),
      old: known.get(key),
      new: spec,
    })),
    absent: without(known, given),
    problems: [],
  };
}

type OneOrMore<Item> = Item | Item[];
type CardRequest = z.infer<typeof rateCardRequest>;
type PriceRequest = z.infer<typeof providerPriceRequest>;

function versions<Request, Spec>(
  given: Readonly<Record<string, OneOrMore<Request>>> = {},
  split: (request: Request) => Version<Spec>,
): Record<string, OneOrMore<Version<Spec>>> {
  const entries = Object.entries(given);
  return Object.fromEntries(
    entries.map(([key, entry]) => [key, Array.isArray(entry) ? entry.map(split) : split(entry)]),
  );
}

function cardVersion({ effective_from: effectiveFrom, ...spec }: CardRequest): Version<RateCardSpec> {
  return { spec, effectiveFrom };
}

function priceVersion({ effective_from: effectiveFrom, ...spec }: PriceRequest): Version<PriceOverrideSpec> {
  return { spec, effectiveFrom };
}

function dated<Spec>(
  kind: Kind,
  given: Readonly<Record<string, Version<Spec> | readonly Version<Spec>[]>>,
  known: ReadonlyMap<string, readonly Standing<Spec>[]> = new Map(),
  now: number,
  wanted: (spec: Spec, dates: Dated) => Wanted,
): Section {
  const compared = Object.entries(given).map(([key, entry]): { key: string } & ComparedVersions<Spec> => ({
    key,
    ...compareVersions(entry, known.get(key) ?? [], { pointer: pointerTo(kind, key), now }),
  }));
  return {
    pairs: compared.flatMap(({ key, pairs }) =>
      pairs.map(({ pointer, spec, effectiveFrom, isUnused, current }) => ({
        key,
        ...(effectiveFrom !== undefined && instantMicros(effectiveFrom) > now && { effective_from: effectiveFrom }),
        pointer,
        wanted: wanted(spec, { effectiveFrom, isUnused }),
        old: current,
        new: spec,
      })),
    ),
    absent: [
      ...without(known, given).filter(({ key }) => known.get(key)?.some((one) => one.spec !== null) === true),
      ...compared.flatMap(({ key, absent }) => absent.map((at) => ({ key, effective_from: formatInstant(at) }))),
    ],
    problems: compared.flatMap((one) => one.problems),
  };
}

function overrides(
  given: CatalogFile['customer_overrides'] = {},
  known: Catalog['customer_overrides'] = new Map(),
  now: number,
): Section {
  const pairs = Object.entries(given).flatMap(([customer, specs]) =>
    Object.entries(specs).map(([key, spec]): Pair => {
      const current = known.get(customer)?.get(key);
      return {
        customer,
        key,
        pointer: pointerTo('customer_overrides', customer, key),
        wanted: { kind: 'customer_overrides', spec, customer },
        old: current === undefined ? undefined : spanned(current, { now, isDated: spec.effective_from !== undefined }),
        new: spanned(spec, { now, isDated: spec.effective_from !== undefined }),
      };
    }),
  );
  const absent = Object.entries(given).flatMap(([customer, specs]) =>
    [...(known.get(customer) ?? [])].flatMap(([key, spec]) =>
      !Object.hasOwn(specs, key) && !hasEnded(spec, now) ? [{ customer, key }] : [],
    ),
  );
  return { pairs, absent, problems: [] };
}

/** The override as it is compared: a beginning that has passed counts only where the file names one. */
function spanned(spec: OverrideSpec, { now, isDated }: { now: number; isDated: boolean }): unknown {
  const { effective_from: from, effective_to: to, ...rest } = spec;
  const begins = from === undefined ? undefined : instantMicros(from);
  return {
    ...rest,
    ...(begins !== undefined && (isDated || begins > now) && { effective_from: formatInstant(begins) }),
    ...(typeof to === 'string' && { effective_to: formatInstant(instantMicros(to)) }),
  };
}

function hasEnded({ effective_to: to }: OverrideSpec, now: number): boolean {
  return typeof to === 'string' && instantMicros(to) <= now;
}

function without(known: ReadonlyMap<string, unknown>, given: Readonly<Record<string, unknown>>): { key: string }[] {
  return [...known.keys()].filter((key) => !Object.hasOwn(given, key)).map((key) => ({ key }));
}

function pointerTo(...segments: readonly string[]): string {
  return segments.map((segment) => `/${escapePointer(segment)}`).join('');
}
