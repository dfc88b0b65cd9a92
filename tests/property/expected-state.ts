import { type Call, type CardModels, lines } from './arbitraries.ts';
import { naiveCharge } from './naive-rating.ts';
import type { RecordedState } from './recorded-state.ts';

const ONE = 10n ** 18n;

/** What a list of calls must leave behind, from the calls alone. */
export function expectedState(list: readonly Call[], models: CardModels): RecordedState {
  const usage: Record<string, bigint> = {};
  const totals = new Map<string, { key: string; quantity: bigint; charge: bigint }>();
  const charged: Record<string, bigint> = {};
  for (const call of list) {
    for (const line of lines(call, models)) {
      const place = `${call.customer}|${line.meter}|${call.model}|${call.feature}`;
      usage[place] = (usage[place] ?? 0n) + line.quantity * ONE;
      const name = `${call.customer}|${line.bucket}`;
      const quantity = (totals.get(name)?.quantity ?? 0n) + line.quantity;
      const charge = naiveCharge(line.model, quantity);
      totals.set(name, { key: `${call.customer}|${line.price}`, quantity, charge });
    }
  }
  const accumulators: Record<string, string[]> = {};
  for (const [name, { key, quantity, charge }] of totals) {
    (accumulators[key] ??= []).push(`${quantity * ONE} costs ${charge}`);
    const customer = name.split('|')[0] ?? '';
    if (charge !== 0n) charged[customer] = (charged[customer] ?? 0n) + charge;
  }
  for (const one of Object.values(accumulators)) one.sort();
  return { usage, accumulators, charged };
}
