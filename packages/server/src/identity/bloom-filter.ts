/**
 * A blocked Bloom filter over identity keys. Keys are hashes already, so their own bits choose the block (one cache line of 512
 * bits) and eight bits in it. At 16 bits a key about one absent key in a thousand looks present; none that is present looks
 * absent. (Putze, Sanders, Singler: Cache-, Hash- and Space-Efficient Bloom Filters, 2007.)
 */
const BLOCK_BYTES = 64;
const BITS_PER_KEY = 16;

export type KeyBits = { readonly block: number; readonly low: number; readonly high: number; readonly more: number };

/** The parts of a key that the filter looks at; `key` has 32 hexadecimal digits. */
export function keyBits(key: string): KeyBits {
  return {
    block: Number.parseInt(key.slice(0, 8), 16),
    low: Number.parseInt(key.slice(8, 16), 16),
    high: Number.parseInt(key.slice(16, 24), 16),
    more: Number.parseInt(key.slice(24, 32), 16),
  };
}

export function emptyFilter(keys: number): Buffer {
  const blocks = Math.max(1, Math.ceil((keys * BITS_PER_KEY) / (BLOCK_BYTES * 8)));
  return Buffer.alloc(blocks * BLOCK_BYTES);
}

export function addKey(filter: Uint8Array, bits: KeyBits): void {
  const start = blockStart(filter, bits);
  for (let index = 0; index < 8; index++) {
    const bit = bitAt(bits, index);
    const at = start + (bit >>> 3);
    filter[at] = (filter[at] ?? 0) | (1 << (bit & 7));
  }
}

export function mayHold(filter: Uint8Array, bits: KeyBits): boolean {
  const start = blockStart(filter, bits);
  for (let index = 0; index < 8; index++) {
    const bit = bitAt(bits, index);
    if (((filter[start + (bit >>> 3)] ?? 0) & (1 << (bit & 7))) === 0) return false;
  }
  return true;
}

/** The block number scaled to the filter without a division (Lemire's reduction). */
function blockStart(filter: Uint8Array, bits: KeyBits): number {
  const blocks = filter.length / BLOCK_BYTES;
  return Math.floor((bits.block * blocks) / 4_294_967_296) * BLOCK_BYTES;
}

/** Eight positions of nine bits each, three from every 32-bit part and two from the last. */
function bitAt(bits: KeyBits, index: number): number {
  if (index < 3) return (bits.low >>> (index * 9)) & 511;
  if (index < 6) return (bits.high >>> ((index - 3) * 9)) & 511;
  return (bits.more >>> ((index - 6) * 9)) & 511;
}
