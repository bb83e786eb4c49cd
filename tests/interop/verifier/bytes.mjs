// Byte strings: hex, comparing, joining. Bytes are Buffers throughout, text is string.

export const ZEROS = Buffer.alloc(32);

export function fromHex(text) {
  if (!/^([0-9a-f]{2})*$/.test(text)) throw new TypeError("not lower-case hex");
  return Buffer.from(text, "hex");
}

export const toHex = (bytes) => bytes.toString("hex");
export const isBytes = (value) => Buffer.isBuffer(value);
export const isEqual = (left, right) => Buffer.compare(left, right) === 0;
export const join = (...parts) => Buffer.concat(parts);

/** Little-endian bytes as an integer, as RFC 8032 writes numbers. */
export function littleEndian(bytes) {
  return BigInt(`0x0${toHex(Buffer.from(bytes).reverse())}`);
}

export function toLittleEndian(number, length) {
  return Buffer.from(number.toString(16).padStart(2 * length, "0"), "hex").reverse();
}
