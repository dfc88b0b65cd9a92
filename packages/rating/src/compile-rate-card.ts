import { currency, isZero } from '@ergon/exact';
import { closePeriod } from './close-period.ts';
import { compileChargeModel } from './compile-charge-model.ts';
import { starError } from './compile-matrix.ts';
import type { Compiled, CompiledPrice, CompiledRateCard, Dimensions, SpecError } from './contract.ts';
import { CELLS_PER_CARD_MAX, ERRORS_REPORTED_MAX } from './limits.ts';
import { accepts, compareRank, compileMatch, findTies, type Match, rememberChoice } from './match.ts';
import { type PriceSpec, type RateCardSpec, rateCardSchema } from './rate-card-schema.ts';
import { schemaErrors, specError } from './spec-error.ts';
import { FALLBACK_METERS, TOKEN_METERS, TOTAL_TOKENS_METER } from './token-meters.ts';
import { toDecimal } from './wire-decimal.ts';

type Entry = {
  readonly index: number;
  readonly price: CompiledPrice;
  readonly match: Match;
  readonly isFirst: boolean;
};

/**
 * Checks a rate card document and makes it ready to rate. Every rule of DESIGN section 9 that a publish enforces is
 * enforced here; errors name the member at fault by JSON pointer.
 */
export function compileRateCard(document: unknown): Compiled<CompiledRateCard> {
  const parsed = rateCardSchema.safeParse(document);
  if (!parsed.success) return { ok: false, errors: schemaErrors(parsed.error) };
  const spec = parsed.data;
  const errors: SpecError[] = [];
  checkCellCount(spec, errors);
  checkTotals(spec, errors);
  if (errors.length > 0) return { ok: false, errors: errors.slice(0, ERRORS_REPORTED_MAX) };
  const entries = spec.prices.flatMap((price, index) => compilePrice(price, index, errors) ?? []);
  checkKeys(entries, errors);
  if (errors.length === 0) checkTies(entries, errors);
  if (errors.length > 0) return { ok: false, errors: errors.slice(0, ERRORS_REPORTED_MAX) };
  return {
    ok: true,
    value: {
      currency: currency(spec.currency),
      prices: entries.map((entry) => entry.price),
      priceFor: priceChoice(entries),
    },
  };
}

function compilePrice(spec: PriceSpec, index: number, errors: SpecError[]): Entry | undefined {
  const path = ['prices', index];
  const match = compileMatch(spec.match ?? {});
  if ('faulty' in match) {
    errors.push(starError([...path, 'match', match.faulty]));
    return undefined;
  }
  if (spec.charge_model.type === 'per_unit' && isZero(toDecimal(spec.charge_model.unit_amount))) {
    const detail = 'a price of zero may be a mistake';
    errors.push(specError([...path, 'charge_model', 'unit_amount'], detail, 'say {"type":"free"} where it is meant'));
    return undefined;
  }
  const compiled = compileChargeModel(spec.charge_model, [...path, 'charge_model']);
  if (!compiled.ok) {
    errors.push(...compiled.errors);
    return undefined;
  }
  const model = compiled.value;
  const price: CompiledPrice = {
    key: keyOf(spec, match),
    meter: spec.meter,
    timing: model.timing,
    isFree: spec.charge_model.type === 'free',
    failedCalls: spec.failed_calls ?? 'bill',
    retries: spec.retries ?? 'bill',
    pay: spec.charge_model.type === 'flat' ? (spec.charge_model.pay ?? 'in_arrears') : 'in_arrears',
    bucket: model.bucket,
    bucketOf: model.bucketOf,
    close: (period) => closePeriod(model, period),
  };
  return { index, price, match, isFirst: spec.takes_precedence === true };
}

/** A price's own key, else one made of its meter and match. */
function keyOf(spec: PriceSpec, match: Match): string {
  return spec.key ?? (match.key === '' ? spec.meter : `${spec.meter}{${match.key}}`);
}

/**
 * A card with single prices of a customer's own laid over it: each replaces the price of its key, or of its meter and match, and takes
 * precedence over every other price of its meter. Not checked: {@link compileRateCard} does that.
 */
export function overlayPrices(card: RateCardSpec, prices: readonly PriceSpec[]): RateCardSpec {
  const names = new Set(prices.flatMap(namesOf));
  const kept = card.prices.filter((price) => !namesOf(price).some((name) => names.has(name)));
  return { ...card, prices: [...prices.map((price): PriceSpec => ({ ...price, takes_precedence: true })), ...kept] };
}

/** The key, and the meter with its match: what makes two prices the same one. */
function namesOf(spec: PriceSpec): string[] {
  const match = compileMatch(spec.match ?? {});
  return 'faulty' in match ? [] : [`key ${keyOf(spec, match)}`, `match ${spec.meter}{${match.key}}`];
}

function checkCellCount(spec: RateCardSpec, errors: SpecError[]): void {
  const cells = spec.prices.reduce(
    (count, { charge_model: model }) => count + (model.type === 'matrix' ? model.cells.length : 0),
    0,
  );
  if (cells <= CELLS_PER_CARD_MAX) return;
  const detail = `${cells} matrix cells; a card holds at most ${CELLS_PER_CARD_MAX}`;
  errors.push(specError(['prices'], detail, 'use trailing * or a default to name fewer cells'));
}

/** A total and its parts in one card would bill each token twice. */
function checkTotals(spec: RateCardSpec, errors: SpecError[]): void {
  if (!spec.prices.some((price) => price.meter === TOTAL_TOKENS_METER)) return;
  spec.prices.forEach((price, index) => {
    if (!TOKEN_METERS.includes(price.meter)) return;
    const detail = `${price.meter} is part of ${TOTAL_TOKENS_METER}, which this card prices too`;
    errors.push(specError(['prices', index, 'meter'], detail, 'price the total or its parts, not both'));
  });
}

function checkKeys(entries: readonly Entry[], errors: SpecError[]): void {
  const seen = new Map<string, Entry>();
  for (const entry of entries) {
    const first = seen.get(entry.price.key);
    // Equal meter and match give equal keys too; that is a tie and is told as one.
    if (first !== undefined && (first.price.meter !== entry.price.meter || first.match.key !== entry.match.key)) {
      const detail = `key "${entry.price.key}" is taken by price ${first.index}`;
      errors.push(specError(['prices', entry.index, 'key'], detail, 'give each price a key of its own'));
    }
    seen.set(entry.price.key, entry);
  }
}

function checkTies(entries: readonly Entry[], errors: SpecError[]): void {
  for (const group of Map.groupBy(entries, ({ price, isFirst }) => `${isFirst} ${price.meter}`).values()) {
    for (const [a, b] of findTies(group.map((entry) => entry.match))) {
      const [first, second] = [group[a], group[b]];
      if (first === undefined || second === undefined) continue;
      const detail = `ties with price ${first.index}: some dimensions fit both and neither is more exact`;
      const remedy = 'add a key to one match or make one prefix longer';
      errors.push(specError(['prices', second.index, 'match'], detail, remedy));
    }
  }
}

function priceChoice(entries: readonly Entry[]): CompiledRateCard['priceFor'] {
  const byMeter = Map.groupBy(entries, (entry) => entry.price.meter);
  const meters = new Set([...byMeter.keys(), ...TOKEN_METERS]);
  const choices = new Map<string, (dimensions: Dimensions) => CompiledPrice | undefined>();
  for (const meter of meters) {
    const candidates = [meter, FALLBACK_METERS.get(meter)].map((name) =>
      (name === undefined ? [] : (byMeter.get(name) ?? [])).toSorted(
        (a, b) => Number(b.isFirst) - Number(a.isFirst) || compareRank(a.match, b.match),
      ),
    );
    const names = new Set(candidates.flat().flatMap(({ match }) => [...match.exact.keys(), ...match.prefixes.keys()]));
    const choose = (dimensions: Dimensions): CompiledPrice | undefined => {
      for (const ranked of candidates) {
        const winner = ranked.find(({ match }) => accepts(match, dimensions));
        if (winner !== undefined) return winner.price;
      }
      return undefined;
    };
    if (candidates.some((ranked) => ranked.length > 0)) choices.set(meter, rememberChoice([...names], choose));
  }
  return (meter, dimensions) => choices.get(meter)?.(dimensions);
}
