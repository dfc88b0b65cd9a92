#!/usr/bin/env node
// Plain JavaScript for any Node from 20 on: runs the command with Node 24, in this process when this is one already.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const main = join(dirname(dirname(fileURLToPath(import.meta.url))), 'src', 'main.ts');

if (Number(process.versions.node.split('.')[0]) >= 24) {
  await import(pathToFileURL(main).href);
} else {
  const node = installedNode24(dirname(main));
  if (node === undefined) {
    console.error(`ergon: needs Node 24, and this is ${process.version}. Run npm ci here, or install Node 24.`);
    process.exit(1);
  }
  const child = spawn(node, [main, ...process.argv.slice(2)], { stdio: 'inherit' });
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT']) {
    process.on(signal, () => {
      // A terminal sends Ctrl-C to the child as well.
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
    });
  }
  child.once('error', (error) => {
    console.error(`ergon: cannot run ${node}: ${error.message}`);
    process.exit(1);
  });
  child.once('exit', (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)));
}

/** The Node that npm installed beside us: package.json pins it for each platform. */
function installedNode24(start) {
  const prefix = process.platform === 'darwin' && process.arch === 'arm64' ? 'node-bin' : 'node';
  for (let at = start; ; at = dirname(at)) {
    const binary = join(at, 'node_modules', `${prefix}-${process.platform}-${process.arch}`, 'bin', 'node');
    if (existsSync(binary)) return binary;
    if (at === dirname(at)) return undefined;
  }
}
