import { Counter, collectDefaultMetrics, Histogram, Registry } from 'prom-client';

export type ServerMetrics = {
  readonly registry: Registry;
  readonly events: Counter<'fate'>;
  readonly groupEvents: Histogram;
  readonly groupSeconds: Histogram;
  readonly requestSeconds: Histogram<'route' | 'status'>;
  readonly failures: Counter<'kind'>;
};

/** Prometheus metrics of one server. Names follow Prometheus' conventions: base units, `_total` for counters. */
export function serverMetrics(): ServerMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  return {
    registry,
    events: new Counter({
      name: 'ergon_events_total',
      help: 'Events answered, by fate',
      labelNames: ['fate'],
      registers,
    }),
    groupEvents: new Histogram({
      name: 'ergon_group_events',
      help: 'Events committed by one transaction',
      buckets: [1, 10, 50, 100, 500, 1000, 2000, 4000, 8000],
      registers,
    }),
    groupSeconds: new Histogram({
      name: 'ergon_group_seconds',
      help: 'Duration of one record transaction',
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1],
      registers,
    }),
    requestSeconds: new Histogram({
      name: 'ergon_http_request_seconds',
      help: 'Duration of HTTP requests, by route and status',
      labelNames: ['route', 'status'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5],
      registers,
    }),
    failures: new Counter({
      name: 'ergon_record_failures_total',
      help: 'Record transactions that failed',
      labelNames: ['kind'],
      registers,
    }),
  };
}
