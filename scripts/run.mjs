// npm start, npm test and their like on a fresh clone: installs what is missing, then runs the command with Node 24.
// Plain JavaScript for any Node from 20 on.
// The scripts of package.json `exec` this file: a shell between npm and it would swallow the signal that npm passes on.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { install } from './install.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const vitest = join('node_modules', 'vitest', 'vitest.mjs');

const commands = {
  // A group's events live until its commit: a young generation that holds several groups copies few of them.
  start: ['--max-semi-space-size=64', join('packages', 'server', 'src', 'main.ts')],
  test: [vitest, 'run'],
  soak: [vitest, 'run', '--config', 'vitest.soak.config.ts'],
  explore: [vitest, 'run', '--config', 'vitest.explore.config.ts'],
  bench: ['--expose-gc', join('packages', 'server', 'bench', 'main.ts')],
  fit: [join('packages', 'compute', 'bench', 'fit-step-time.ts')],
  ergon: [join('packages', 'cli', 'src', 'main.ts')],
  node: [],
};

const [name, ...args] = process.argv.slice(2);
const command = commands[name];
if (command === undefined) {
  console.error(`usage: node scripts/run.mjs ${Object.keys(commands).join('|')} [arguments]`);
  process.exit(1);
}

await install(root);
const node = node24();
if (node === undefined) {
  console.error(
    `ergon: needs Node 24; this is ${process.version}, and npm has none for ${process.platform}-${process.arch}.`,
  );
  console.error('Install Node 24 from https://nodejs.org and start again.');
  process.exit(1);
}

const child = spawn(node, ['--import', join(root, 'scripts', 'parent-watch.mjs'), ...command, ...args], {
  cwd: root,
  stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  env: { ...process.env, PATH: `${join(root, 'node_modules', '.bin')}${delimiter}${process.env.PATH ?? ''}` },
});
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

/** The Node that npm installed (package.json pins one for each platform), else this one when it is new enough. */
function node24() {
  const prefix = process.platform === 'darwin' && process.arch === 'arm64' ? 'node-bin' : 'node';
  const binary = join(root, 'node_modules', `${prefix}-${process.platform}-${process.arch}`, 'bin', 'node');
  if (existsSync(binary)) return binary;
  return Number(process.versions.node.split('.')[0]) >= 24 ? process.execPath : undefined;
}
