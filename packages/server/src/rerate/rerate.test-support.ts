import { type Tenant } from '../report/report.test-support.ts';

export type RerateAnswer = {
  readonly id: string;
  readonly status: string;
  readonly failure: string | null;
  readonly automatic: boolean;
  readonly events_adjusted: string;
  readonly totals: readonly { currency: string; old: string; new: string; difference: string; customers: string }[];
};

/** Waits for what the background does: polls until `check` holds, most of a minute at most. */
export async function until<T>(read: () => Promise<T>, check: (value: T) => boolean): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    const value = await read();
    if (check(value) || attempt > 1500) return value;
    await new Promise((resolve) => {
      setTimeout(resolve, 25);
    });
  }
}

/** Asks for a re-rating and waits for its end. */
export async function rerate(tenant: Tenant, body: Readonly<Record<string, unknown>>): Promise<RerateAnswer> {
  const asked = await tenant.post('/v1/rerate', { from: '2026-11-01T00:00:00Z', to: '2026-12-01T00:00:00Z', ...body });
  if (asked.status !== 201) throw new Error(`POST /v1/rerate answered ${asked.status}: ${asked.text}`);
  return finished(tenant, (JSON.parse(asked.text) as RerateAnswer).id);
}

export function finished(tenant: Tenant, id: string): Promise<RerateAnswer> {
  return until(
    () => tenant.read<RerateAnswer>(`/v1/rerates/${id}`),
    ({ status }) => status !== 'running',
  );
}
