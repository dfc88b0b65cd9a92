// Loaded into the service by run.mjs. When that process is gone, however it ended, nobody would stop the service any more:
// it then stops itself, as on SIGTERM.
process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
process.channel?.unref();
