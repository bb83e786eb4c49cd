// The one canonical msgpack encoding: mesh.md 1.1 and 1.3.
//
// nil, booleans, numbers (safe integers), strings (printable ASCII), Buffers (bin), Arrays and Maps. A Map that was
// decoded is in ascending order; `encode` sorts. Left out on purpose: floats, extensions, anything lenient.
import { isBytes } from "./bytes.mjs";
import { Refused, refuse } from "./refused.mjs";

export const MAX_VALUE_BYTES = 1 << 20; // 1.3
const MAX_DEPTH = 8;
const MAX_VALUES = 65_536;
const BIN_FORMS = [[0x100, 0xc4, 1], [0x10000, 0xc5, 2], [2 ** 32, 0xc6, 4]]; // [below, head, bytes of length]
const STR_FORMS = [[0x100, 0xd9, 1], [0x10000, 0xda, 2], [2 ** 32, 0xdb, 4]];
const PRINTABLE = /^[\x20-\x7e]*$/;

export function decode(bytes, maxBytes = MAX_VALUE_BYTES) {
  if (bytes.length > maxBytes) refuse("too-large", `${bytes.length} bytes, at most ${maxBytes}`);
  const reader = new Reader(bytes);
  const value = reader.value(0);
  if (reader.at !== bytes.length) refuse("not-canonical", "bytes after the value");
  return value;
}

/** The value, or undefined where the bytes are no canonical value at all. */
export function decodeOrNothing(bytes, maxBytes) {
  try {
    return decode(bytes, maxBytes);
  } catch (error) {
    if (error instanceof Refused) return undefined;
    throw error;
  }
}

class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
    this.values = 0;
  }

  left() {
    return this.bytes.length - this.at;
  }

  take(length) {
    if (length > this.left()) refuse("not-canonical", "cut short");
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  unsigned(length, least) {
    const number = this.take(length).reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
    return this.integer(number, number >= least);
  }

  signed(length, most) {
    const number = BigInt.asIntN(8 * length, this.take(length).reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n));
    return this.integer(number, number < most);
  }

  integer(number, isShortest) {
    if (!isShortest) refuse("not-canonical", "an integer in a longer form than it needs");
    if (!Number.isSafeInteger(Number(number))) refuse("not-canonical", "an integer beyond 2^53 - 1");
    return Number(number);
  }

  /** A count or length in `length` bytes that needs them all, and is not above what is left (1.3). */
  size(length, least) {
    const size = this.unsigned(length, BigInt(least));
    return this.fits(size);
  }

  fits(size) {
    if (size > this.left()) refuse("not-canonical", "a length greater than the bytes left");
    return size;
  }

  value(depth) {
    this.values += 1;
    if (this.values > MAX_VALUES) refuse("too-large", "more than 65,536 values");
    const head = this.take(1)[0];
    if (head <= 0x7f) return head;
    if (head >= 0xe0) return head - 256;
    if (head <= 0x8f) return this.map(this.fits(head & 15), depth);
    if (head <= 0x9f) return this.array(this.fits(head & 15), depth);
    if (head <= 0xbf) return this.string(head & 31);
    return this.headed(head, depth);
  }

  headed(head, depth) {
    switch (head) {
      case 0xc0: return null;
      case 0xc2: return false;
      case 0xc3: return true;
      case 0xc4: return this.take(this.size(1, 0));
      case 0xc5: return this.take(this.size(2, 0x100));
      case 0xc6: return this.take(this.size(4, 0x10000));
      case 0xcc: return this.unsigned(1, 0x80n);
      case 0xcd: return this.unsigned(2, 0x100n);
      case 0xce: return this.unsigned(4, 0x10000n);
      case 0xcf: return this.unsigned(8, 0x100000000n);
      case 0xd0: return this.signed(1, -0x20n);
      case 0xd1: return this.signed(2, -0x80n);
      case 0xd2: return this.signed(4, -0x8000n);
      case 0xd3: return this.signed(8, -0x80000000n);
      case 0xd9: return this.string(this.size(1, 32));
      case 0xda: return this.string(this.size(2, 0x100));
      case 0xdb: return this.string(this.size(4, 0x10000));
      case 0xdc: return this.array(this.size(2, 16), depth);
      case 0xdd: return this.array(this.size(4, 0x10000), depth);
      case 0xde: return this.map(this.size(2, 16), depth);
      case 0xdf: return this.map(this.size(4, 0x10000), depth);
      default: return refuse("not-canonical", `type byte ${head.toString(16)}`);
    }
  }

  string(length) {
    const text = this.take(length).toString("latin1");
    if (!PRINTABLE.test(text)) refuse("not-canonical", "a str that is not printable ASCII");
    return text;
  }

  array(count, depth) {
    this.deeper(depth);
    const items = [];
    for (let item = 0; item < count; item++) items.push(this.value(depth + 1));
    return items;
  }

  map(count, depth) {
    this.deeper(depth);
    const fields = new Map();
    let before = null;
    for (let field = 0; field < count; field++) {
      const key = this.value(depth + 1);
      if (typeof key !== "string") refuse("not-canonical", "a key that is no str");
      if (before !== null && !(before < key)) refuse("not-canonical", "keys not ascending");
      fields.set(key, this.value(depth + 1));
      before = key;
    }
    return fields;
  }

  deeper(depth) {
    if (depth >= MAX_DEPTH) refuse("too-large", "more than 8 arrays and maps inside each other");
  }
}

export function encode(value) {
  const out = [];
  write(value, out);
  return Buffer.concat(out);
}

function write(value, out) {
  if (value === null) out.push(Buffer.of(0xc0));
  else if (typeof value === "boolean") out.push(Buffer.of(value ? 0xc3 : 0xc2));
  else if (typeof value === "number") out.push(integerBytes(value));
  else if (typeof value === "string") writeString(value, out);
  else if (isBytes(value)) out.push(headBytes(value.length, BIN_FORMS), value);
  else if (Array.isArray(value)) writeArray(value, out);
  else if (value instanceof Map) writeMap(value, out);
  else throw new TypeError("no canonical encoding");
}

function writeString(text, out) {
  if (!PRINTABLE.test(text)) throw new TypeError("a str is printable ASCII");
  out.push(headBytes(text.length, STR_FORMS, [32, 0xa0]), Buffer.from(text));
}

function writeArray(items, out) {
  out.push(headBytes(items.length, [[0x10000, 0xdc, 2], [2 ** 32, 0xdd, 4]], [16, 0x90]));
  for (const item of items) write(item, out);
}

function writeMap(fields, out) {
  out.push(headBytes(fields.size, [[0x10000, 0xde, 2], [2 ** 32, 0xdf, 4]], [16, 0x80]));
  for (const key of [...fields.keys()].sort(byCodeUnit)) {
    write(key, out);
    write(fields.get(key), out);
  }
}

/** Printable ASCII: code units are bytes. */
export const byCodeUnit = (left, right) => (left < right ? -1 : left > right ? 1 : 0);

function headBytes(size, forms, fix = [0, 0]) {
  if (size < fix[0]) return Buffer.of(fix[1] | size);
  const [, head, length] = forms.find(([limit]) => size < limit);
  return tagged(head, BigInt(size), length);
}

function integerBytes(number) {
  if (!Number.isSafeInteger(number)) throw new TypeError("an integer within 2^53 - 1");
  if (number >= -32 && number <= 127) return Buffer.of(number & 0xff);
  const forms = number > 0
    ? [[2 ** 8, 0xcc, 1], [2 ** 16, 0xcd, 2], [2 ** 32, 0xce, 4], [2 ** 54, 0xcf, 8]]
    : [[2 ** 7 + 1, 0xd0, 1], [2 ** 15 + 1, 0xd1, 2], [2 ** 31 + 1, 0xd2, 4], [2 ** 54, 0xd3, 8]];
  const [, head, length] = forms.find(([limit]) => Math.abs(number) < limit);
  return tagged(head, BigInt(number), length);
}

function tagged(head, number, length) {
  const digits = BigInt.asUintN(8 * length, number).toString(16).padStart(2 * length, "0");
  return Buffer.from(head.toString(16) + digits, "hex");
}
