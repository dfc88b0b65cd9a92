// Writes package-lock.json so that `npm ci` works from any registry, whatever the one at hand happens to serve:
// - no download addresses, which would name the mirror of whoever wrote it;
// - an entry for every platform's optional package. npm leaves out those the registry does not serve, and then refuses its
//   own lock file ("Missing: ... from lock file"). Such a package is added with the version its parent pins and the
//   platform its name says, and npm skips it everywhere else.
// Run it instead of `npm install NAME`: node scripts/write-lock.mjs -D NAME@VERSION
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';

const args = ['install', '--package-lock-only', '--no-omit-lockfile-registry-resolved', ...process.argv.slice(2)];
execFileSync('npm', args, { stdio: 'inherit' });

const lock = JSON.parse(readFileSync('package-lock.json', 'utf8'));
const systems = ['darwin', 'linux', 'win32', 'android', 'freebsd', 'openbsd', 'netbsd', 'sunos', 'aix', 'openharmony'];
const processors = ['arm64', 'x64', 'ia32', 'arm', 'ppc64', 'riscv64', 's390x', 'loong64', 'mips64el', 'wasm32'];

function platform(name) {
  const words = name.replace('windows', 'win32').split(/[/@_-]+/);
  const cpu = processors.filter((one) => words.includes(one));
  const os = systems.filter((one) => words.includes(one));
  const libc = words.includes('musl') ? ['musl'] : words.includes('gnu') ? ['glibc'] : [];
  return { ...(cpu.length > 0 && { cpu }), ...(os.length > 0 && { os }), ...(libc.length > 0 && { libc }) };
}

for (const [path, entry] of Object.entries(lock.packages)) {
  if (typeof entry.resolved === 'string' && entry.resolved.startsWith('http')) delete entry.resolved;
  for (const [name, range] of Object.entries(entry.optionalDependencies ?? {})) {
    if (lock.packages[`node_modules/${name}`] ?? lock.packages[`${path}/node_modules/${name}`]) continue;
    const version = range.replace(/^[\^~]/, '');
    if (!/^\d+\.\d+\.\d+/.test(version)) continue;
    const isDev = entry.dev === true && { dev: true };
    lock.packages[`node_modules/${name}`] = { version, ...platform(name), ...isDev, optional: true };
  }
}
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)));
writeFileSync('package-lock.json', `${JSON.stringify(lock, null, 2)}\n`);
