import { BlockList, isIP } from 'node:net';

/** Networks that no address given by a client may lead to: this machine, private networks, clouds' metadata, and what is no host. */
const FORBIDDEN_NETWORKS: readonly string[] = [
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.0.0.0/24'],
  ...['192.0.2.0/24', '192.31.196.0/24', '192.52.193.0/24', '192.88.99.0/24', '192.168.0.0/16', '192.175.48.0/24'],
  ...['198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24', '224.0.0.0/4', '240.0.0.0/4'],
  ...['::/128', '::1/128', '64:ff9b:1::/48', '100::/64', '2001::/23', '2001:db8::/32', '3fff::/20', '5f00::/16'],
  ...['fc00::/7', 'fe80::/10', 'fec0::/10', 'ff00::/8'],
];

/** Prefixes that carry an IPv4 address inside an IPv6 one: where its four bytes begin. A guard that forgets them has a hole. */
const CARRIERS: readonly { readonly network: string; readonly at: number }[] = [
  { network: '::ffff:0:0/96', at: 6 },
  { network: '::/96', at: 6 },
  { network: '64:ff9b::/96', at: 6 },
  { network: '2002::/16', at: 1 },
];

const forbidden = blockList(FORBIDDEN_NETWORKS);
const carriers = CARRIERS.map(({ network, at }) => ({ list: blockList([network]), at }));

/** Decides which addresses may be called. */
export type AddressGuard = {
  /** Whether the operator has allowed this host name by name. */
  allowsHost(host: string): boolean;
  allowsAddress(address: string): boolean;
  /** Whether the operator has allowed this address by its network, private or not. */
  isOwn(address: string): boolean;
};

/**
 * @param allowed host names, addresses and networks of the operator's own that may be called although they are private.
 * @throws RangeError naming an entry that is none of these.
 */
export function addressGuard(allowed: readonly string[]): AddressGuard {
  const networks: string[] = [];
  const hosts = new Set<string>();
  for (const entry of allowed) {
    const [address = ''] = entry.split('/');
    if (isIP(address) !== 0) networks.push(entry.includes('/') ? entry : `${entry}/${isIP(entry) === 6 ? 128 : 32}`);
    else if (/^[a-z0-9_]([a-z0-9_.-]{0,252})$/i.test(entry)) hosts.add(entry.toLowerCase());
    else throw new RangeError(`${JSON.stringify(entry)} is no host name, address or network`);
  }
  const own = blockList(networks);
  return {
    allowsHost: (host) => hosts.has(host.toLowerCase()),
    allowsAddress: (address) => contains(own, address) || isPublic(address),
    isOwn: (address) => contains(own, address),
  };
}

function isPublic(address: string): boolean {
  if (isIP(address) === 0 || contains(forbidden, address)) return false;
  if (isIP(address) === 4) return true;
  const carrier = carriers.find(({ list }) => contains(list, address));
  return carrier === undefined || isPublic(carriedAddress(address, carrier.at));
}

/** The IPv4 address in two groups of an IPv6 address. */
function carriedAddress(address: string, group: number): string {
  const groups = ipv6Groups(address);
  const bytes = [groups[group] ?? 0, groups[group + 1] ?? 0].flatMap((one) => [one >> 8, one & 255]);
  return bytes.join('.');
}

function ipv6Groups(address: string): number[] {
  const plain = address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, ...parts: string[]) => {
    const [a = 0, b = 0, c = 0, d = 0] = parts.slice(0, 4).map(Number);
    return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
  });
  const [head = '', tail] = plain.split('::');
  const front = head === '' ? [] : head.split(':');
  const back = tail === undefined || tail === '' ? [] : tail.split(':');
  const middle = tail === undefined ? [] : Array.from({ length: 8 - front.length - back.length }, () => '0');
  return [...front, ...middle, ...back].map((text) => Number.parseInt(text, 16));
}

function contains(list: BlockList, address: string): boolean {
  const family = isIP(address);
  return family !== 0 && list.check(address, family === 4 ? 'ipv4' : 'ipv6');
}

function blockList(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', prefix = ''] = network.split('/');
    const family = isIP(address) === 4 ? 'ipv4' : 'ipv6';
    const bits = Number(prefix);
    if (!/^\d{1,3}$/.test(prefix) || bits > (family === 'ipv4' ? 32 : 128))
      throw new RangeError(`${JSON.stringify(network)} is no network`);
    list.addSubnet(address, bits, family);
  }
  return list;
}
