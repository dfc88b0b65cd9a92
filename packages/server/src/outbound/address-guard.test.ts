import { expect, test } from 'vitest';
import { addressGuard, createOutbound } from './index.ts';

const strict = addressGuard([]);

test.each([
  // This machine, private networks, carrier-grade NAT, link-local with the clouds' metadata, multicast, reserved.
  ...['127.0.0.1', '127.9.9.9', '0.0.0.0', '10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', '100.64.0.1'],
  ...['169.254.169.254', '169.254.170.2', '198.18.0.1', '192.0.2.1', '224.0.0.1', '255.255.255.255'],
  ...['::', '::1', 'fe80::1', 'fc00::1', 'fd00:ec2::254', 'ff02::1', '2001:db8::1', '2001::1'],
  // IPv4 inside IPv6: mapped, compatible, NAT64, 6to4.
  ...['::ffff:127.0.0.1', '::ffff:a9fe:a9fe', '::127.0.0.1', '64:ff9b::7f00:1', '64:ff9b::10.0.0.1', '2002:7f00:1::'],
  ...['2002:a9fe:a9fe::1', '64:ff9b:1::1', 'localhost', ''],
])('%s is not called', (address) => {
  expect(strict.allowsAddress(address)).toBe(false);
});

test.each([
  '1.1.1.1',
  '172.32.0.1',
  '100.128.0.1',
  '2606:4700::1111',
  '::ffff:1.1.1.1',
  '64:ff9b::1.1.1.1',
  '2002:101:101::',
])('%s is public', (address) => {
  expect(strict.allowsAddress(address)).toBe(true);
});

test('what the operator allows is called, and nothing else', () => {
  const guard = addressGuard(['10.1.0.0/16', 'fd12::1', 'hooks.internal']);
  expect(guard.allowsAddress('10.1.2.3')).toBe(true);
  expect(guard.allowsAddress('10.2.2.3')).toBe(false);
  expect(guard.allowsAddress('fd12::1')).toBe(true);
  expect(guard.allowsAddress('fd12::2')).toBe(false);
  expect(guard.allowsHost('HOOKS.internal')).toBe(true);
  expect(guard.allowsHost('other.internal')).toBe(false);
  expect(() => addressGuard(['10.0.0.0/99'])).toThrow(/no network/);
  expect(() => addressGuard(['a b'])).toThrow(/no host name/);
});

test.each([
  ['https://example.com/x', undefined],
  ['http://example.com/x', 'must begin with https://'],
  ['http://1.1.1.1/x', 'must begin with https://'],
  ['ftp://example.com/x', 'must begin with https://'],
  ['https://user:pass@example.com/', 'must not hold a user or a password'],
  ['https://[::1]/', 'leads to an address that is private or reserved'],
  // The ways of writing 127.0.0.1 that a URL parser understands.
  ['https://0x7f.1/', 'leads to an address that is private or reserved'],
  ['https://2130706433/', 'leads to an address that is private or reserved'],
  ['https://017700000001/', 'leads to an address that is private or reserved'],
  ['https://169.254.169.254/latest/meta-data', 'leads to an address that is private or reserved'],
  ['nonsense', 'is no absolute URL'],
])('%s: %s', (url, expected) => {
  expect(createOutbound(strict).refusal(url)).toBe(expected);
});

test('a name that resolves to this machine is refused at the connection, whatever its text', async () => {
  const answer = await createOutbound(strict).post('https://localhost:1/', {}, '{}');
  expect(answer).toEqual({ ok: false, error: 'the name leads to an address that is private or reserved' });
});
