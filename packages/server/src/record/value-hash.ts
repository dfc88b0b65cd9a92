import { hash } from 'node:crypto';

/** Distinct values are kept as the first 128 bits of their SHA-256: a fixed size, whatever they are. */
export function valueHash(value: string): string {
  return hash('sha256', value, 'hex').slice(0, 32);
}
