/** Settings of the embedded PostgreSQL, by name; those not named keep PostgreSQL's default. */
export type Settings = Readonly<Record<string, string>>;

/**
 * Chosen for one service on one machine: an answered request is on disk, a fresh start stays small (service and database
 * within 350 MB), and random identity hashes find their index pages in memory for as long as they can.
 */
export const DEFAULT_SETTINGS: Settings = {
  // Reached only through a socket in a directory of mode 0700; nothing listens on the network.
  listen_addresses: '',
  unix_socket_permissions: '0700',
  // The promise: an acknowledged event is durable.
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  // The binaries are built without lz4 and zstd, and pglz costs more processor time than the WAL bytes it saves cost disk.
  wal_compression: 'off',
  // Random keys touch a different page each time, and the first touch after a checkpoint writes the whole page to WAL:
  // rare checkpoints keep that cost down, at the price of a longer recovery.
  max_wal_size: '4GB',
  min_wal_size: '128MB',
  checkpoint_timeout: '15min',
  checkpoint_completion_target: '0.9',
  wal_buffers: '16MB',
  // Pages count as memory only once touched, so a fresh start does not pay for this.
  shared_buffers: '128MB',
  // Hashes and sorts of one batch fit; 60 connections at once could not all use it, and do not.
  work_mem: '8MB',
  maintenance_work_mem: '64MB',
  effective_cache_size: '1GB',
  max_connections: '60',
  // Statements are short; compiling them costs more than it saves.
  jit: 'off',
  max_parallel_workers_per_gather: '0',
  // One reader process of its own is memory without use at this size; the kernel's read-ahead does as well.
  io_method: 'sync',
  // No replication from an embedded database.
  wal_level: 'minimal',
  max_wal_senders: '0',
  max_logical_replication_workers: '0',
  // Append-mostly tables: keep visibility and statistics fresh without waiting for a fifth of a large table.
  autovacuum_max_workers: '2',
  autovacuum_naptime: '30s',
  autovacuum_vacuum_insert_scale_factor: '0.05',
  autovacuum_analyze_scale_factor: '0.05',
  random_page_cost: '1.1',
  timezone: 'UTC',
  log_timezone: 'UTC',
  // Statements and their details hold customers' values; the log is for the operator.
  log_min_error_statement: 'panic',
  log_error_verbosity: 'terse',
  log_checkpoints: 'off',
};

/** The settings as arguments of the server: they then hold whatever the files in the data directory say. */
export function settingArguments(settings: Settings): string[] {
  return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}
