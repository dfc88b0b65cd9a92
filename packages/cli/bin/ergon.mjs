#!/usr/bin/env node
// Plain JavaScript for any Node from 20 on: runs the command with Node 24, its own if it is new enough, else the one that
// npm installed beside the project.
import { spawn } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MAJOR_MIN = 24;
const here = dirname(realpathSync(fileURLToPath(import.meta.url)));
const main = join(here, '..', 'src', 'main.ts');

if (Number(process.versions.node.split('.')[0]) >= MAJOR_MIN) {
  await import(main);
} else {
  const node = installedNode(here);
  if (node === undefined) {
    console.error(`ergon: needs Node ${MAJOR_MIN}; this is ${process.version}, and npm has installed no other one.`);
    console.error(`Install Node ${MAJOR_MIN} from https://nodejs.org, or run npm install in the project first.`);
    process.exit(1);
  }
  const child = spawn(node, [main, ...process.argv.slice(2)], { stdio: 'inherit' });
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT']) {
    process.on(signal, () => {
      // A terminal sends Ctrl-C to the child as well; twice would mean "at once".
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
    });
  }
  child.once('error', (error) => {
    console.error(`ergon: cannot run ${node}: ${error.message}`);
    process.exit(1);
  });
  child.once('exit', (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)));
}

/** The Node that package.json pins, from the nearest node_modules upwards that has one. */
function installedNode(from) {
  const prefix = process.platform === 'darwin' && process.arch === 'arm64' ? 'node-bin' : 'node';
  const names = [join(`${prefix}-${process.platform}-${process.arch}`, 'bin', 'node'), join('.bin', 'node')];
  for (let directory = from; ; directory = dirname(directory)) {
    const found = names.map((name) => join(directory, 'node_modules', name)).find(existsSync);
    if (found !== undefined) return found;
    if (directory === dirname(directory)) return undefined;
  }
}
