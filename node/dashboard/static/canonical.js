// Reads the one canonical encoding of the protocol (specs/mesh.md 1) and refuses all other bytes.

const MOST_DEPTH = 8;

export class NotCanonical extends Error {}

const refuse = (why) => { throw new NotCanonical(why); };

/** A value: numbers, texts, Uint8Array, arrays, Map, booleans, null. */
export function decode(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const left = (count) => (count <= bytes.length - at ? count : refuse("it ends too early"));
  const unsigned = (size, least) => {
    left(size);
    const value = size === 1 ? view.getUint8(at) : size === 2 ? view.getUint16(at) : size === 4 ? view.getUint32(at) : Number(view.getBigUint64(at));
    at += size;
    if (value < least || !Number.isSafeInteger(value)) refuse("a number is not in its shortest form");
    return value;
  };
  const signed = (size, most) => {
    left(size);
    const value = size === 1 ? view.getInt8(at) : size === 2 ? view.getInt16(at) : size === 4 ? view.getInt32(at) : Number(view.getBigInt64(at));
    at += size;
    if (value > most || !Number.isSafeInteger(value)) refuse("a number is not in its shortest form");
    return value;
  };
  const raw = (count) => bytes.slice(at, (at += left(count)));
  const text = (count) => {
    const found = raw(count);
    if (found.some((one) => one < 0x20 || one > 0x7e)) refuse("a text is not printable ASCII");
    return String.fromCharCode(...found);
  };
  const list = (count, depth) => Array.from({ length: left(count) }, () => value(depth + 1));
  const map = (count, depth) => {
    const found = new Map();
    let before = null;
    for (let i = left(count); i > 0; i -= 1) {
      const name = value(depth + 1);
      if (typeof name !== "string" || (before !== null && name <= before)) refuse("the names of a map are not in order");
      found.set(name, value(depth + 1));
      before = name;
    }
    return found;
  };
  const value = (depth) => {
    if (depth > MOST_DEPTH) refuse("it is nested too deeply");
    const head = unsigned(1, 0);
    if (head < 0x80) return head;
    if (head < 0x90) return map(head & 15, depth);
    if (head < 0xa0) return list(head & 15, depth);
    if (head < 0xc0) return text(head & 31);
    if (head >= 0xe0) return head - 256;
    switch (head) {
      case 0xc0: return null;
      case 0xc2: return false;
      case 0xc3: return true;
      case 0xc4: return raw(unsigned(1, 0));
      case 0xc5: return raw(unsigned(2, 256));
      case 0xc6: return raw(unsigned(4, 65536));
      case 0xcc: return unsigned(1, 128);
      case 0xcd: return unsigned(2, 256);
      case 0xce: return unsigned(4, 65536);
      case 0xcf: return unsigned(8, 2 ** 32);
      case 0xd0: return signed(1, -33);
      case 0xd1: return signed(2, -129);
      case 0xd2: return signed(4, -32769);
      case 0xd3: return signed(8, -(2 ** 31) - 1);
      case 0xd9: return text(unsigned(1, 32));
      case 0xda: return text(unsigned(2, 256));
      case 0xdc: return list(unsigned(2, 16), depth);
      case 0xdd: return list(unsigned(4, 65536), depth);
      case 0xde: return map(unsigned(2, 16), depth);
      default: return refuse("it holds a type that the protocol does not have");
    }
  };
  const found = value(0);
  if (at !== bytes.length) refuse("bytes follow the value");
  return found;
}
