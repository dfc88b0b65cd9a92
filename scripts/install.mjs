// Plain JavaScript for any Node from 20 on: this runs before anything is installed.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, existsSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Brings node_modules to what package-lock.json says. Does nothing, in milliseconds, when it is there already. */
export async function install(root) {
  if (isInstalled(root)) return;
  const release = await takeTurn(join(root, '.ergon-install.lock'), () => isInstalled(root));
  if (release === undefined) return;
  try {
    if (isInstalled(root)) return;
    console.log('ergon: installing what package-lock.json lists (once; about a minute) ...');
    const startedAt = Date.now();
    const args = ['ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund', '--loglevel=error'];
    const npm = process.env.npm_execpath;
    const options = { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] };
    const run = npm ? spawnSync(process.execPath, [npm, ...args], options) : spawnSync('npm', args, options);
    if (run.status !== 0) {
      console.error('ergon: npm ci failed; its own message is above. Nothing was started.');
      process.exit(run.status || 1);
    }
    writeStamp(root);
    console.log(`ergon: installed in ${Math.round((Date.now() - startedAt) / 1000)} s`);
  } finally {
    release();
  }
}

function isInstalled(root) {
  try {
    if (readFileSync(stampFile(root), 'utf8') === stamp(root)) return true;
  } catch {
    // No stamp: perhaps installed by hand.
  }
  if (!matchesLock(root)) return false;
  writeStamp(root);
  return true;
}

/** npm notes what it installed; that is compared package by package. Absent optional packages are for other platforms. */
function matchesLock(root) {
  try {
    const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
    const found = JSON.parse(readFileSync(join(root, 'node_modules', '.package-lock.json'), 'utf8')).packages;
    return Object.entries(wanted).every(([path, entry]) => {
      if (!path.includes('node_modules/')) return true;
      const one = found[path];
      if (one === undefined) return entry.optional === true && !existsSync(join(root, path));
      return one.version === entry.version && existsSync(join(root, path));
    });
  } catch {
    return false;
  }
}

function stamp(root) {
  const hash = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  return `${hash} ${process.platform}-${process.arch}\n`;
}

function stampFile(root) {
  return join(root, 'node_modules', '.ergon-stamp');
}

function writeStamp(root) {
  try {
    writeFileSync(stampFile(root), stamp(root));
  } catch {
    // Somebody else's checkout, which we may only read: the comparison is made again next time.
  }
}

/** Two first starts at once must not both run npm. Returns how to end the turn, or undefined when another did the work. */
async function takeTurn(lockFile, isDone) {
  let hasSaid = false;
  for (;;) {
    try {
      const file = openSync(lockFile, 'wx');
      writeSync(file, String(process.pid));
      closeSync(file);
      return () => rmSync(lockFile, { force: true });
    } catch (error) {
      if (error.code !== 'EEXIST') {
        console.error(`ergon: cannot install into this directory (${error.message}). Run npm ci as its owner first.`);
        process.exit(1);
      }
    }
    const pid = Number(readIfThere(lockFile));
    if (pid > 0 && !isAlive(pid)) rmSync(lockFile, { force: true });
    else {
      if (!hasSaid) console.log(`ergon: another start (pid ${pid}) is installing; waiting for it ...`);
      hasSaid = true;
      await sleep(300);
    }
    if (!existsSync(lockFile) && isDone()) return undefined;
  }
}

function readIfThere(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}
