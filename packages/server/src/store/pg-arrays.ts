/**
 * PostgreSQL arrays in the wire protocol's binary format. A set of ten thousand rows travels as a handful of buffers that
 * the server reads without parsing text; node-postgres sends a Buffer parameter as binary, so a cast names the type:
 * `unnest($1::uuid[])`.
 *
 * Layout (src/backend/utils/adt/arrayfuncs.c, array_recv): dimensions, null flag, element type oid, length, lower bound,
 * then each element as a 4-byte length (-1 for null) and its bytes.
 */
const OID = { int8: 20, text: 25, timestamptz: 1184, uuid: 2950 } as const;

const HEADER_BYTES = 20;
/** Microseconds between 1970-01-01 and PostgreSQL's epoch, 2000-01-01. */
const EPOCH_MICROS = 946_684_800_000_000;

function header(buffer: Buffer, oid: number, length: number): void {
  buffer.writeInt32BE(length === 0 ? 0 : 1, 0);
  buffer.writeInt32BE(1, 4);
  buffer.writeInt32BE(oid, 8);
  if (length === 0) return;
  buffer.writeInt32BE(length, 12);
  buffer.writeInt32BE(1, 16);
}

function empty(oid: number): Buffer {
  const buffer = Buffer.alloc(12);
  header(buffer, oid, 0);
  return buffer;
}

function writeInt64(buffer: Buffer, value: number, offset: number): void {
  buffer.writeInt32BE(Math.floor(value / 4_294_967_296), offset);
  buffer.writeUInt32BE(
    value < 0 ? ((value % 4_294_967_296) + 4_294_967_296) % 4_294_967_296 : value % 4_294_967_296,
    offset + 4,
  );
}

/** `uuid[]` from 32-digit hexadecimal strings. */
export function uuidArray(values: readonly string[]): Buffer {
  if (values.length === 0) return empty(OID.uuid);
  const buffer = Buffer.allocUnsafe(HEADER_BYTES + values.length * 20);
  header(buffer, OID.uuid, values.length);
  let offset = HEADER_BYTES;
  for (const value of values) {
    buffer.writeInt32BE(16, offset);
    buffer.write(value, offset + 4, 16, 'hex');
    offset += 20;
  }
  return buffer;
}

function int64s(oid: number, values: readonly (number | null)[], shift: number): Buffer {
  if (values.length === 0) return empty(oid);
  const buffer = Buffer.allocUnsafe(HEADER_BYTES + values.length * 12);
  header(buffer, oid, values.length);
  let offset = HEADER_BYTES;
  for (const value of values) {
    if (value === null) {
      buffer.writeInt32BE(-1, offset);
      offset += 4;
      continue;
    }
    buffer.writeInt32BE(8, offset);
    writeInt64(buffer, value - shift, offset + 4);
    offset += 12;
  }
  return buffer.subarray(0, offset);
}

/** `int8[]` from safe integers. */
export function int8Array(values: readonly (number | null)[]): Buffer {
  return int64s(OID.int8, values, 0);
}

/** `timestamptz[]` from microseconds since 1970. */
export function instantArray(micros: readonly number[]): Buffer {
  return int64s(OID.timestamptz, micros, EPOCH_MICROS);
}

/** `text[]`; cast it on from there for numeric, date or jsonb. */
export function textArray(values: readonly (string | null)[]): Buffer {
  if (values.length === 0) return empty(OID.text);
  let bytes = HEADER_BYTES + values.length * 4;
  for (const value of values) if (value !== null) bytes += value.length * 3;
  const buffer = Buffer.allocUnsafe(bytes);
  header(buffer, OID.text, values.length);
  let offset = HEADER_BYTES;
  for (const value of values) {
    if (value === null) {
      buffer.writeInt32BE(-1, offset);
      offset += 4;
      continue;
    }
    const written = buffer.write(value, offset + 4, 'utf8');
    buffer.writeInt32BE(written, offset);
    offset += 4 + written;
  }
  return buffer.subarray(0, offset);
}
