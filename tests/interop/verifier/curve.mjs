// Points of edwards25519 in integers: RFC 8032, 5.1. For checking public values only: nothing here is constant-time.
import { littleEndian } from "./bytes.mjs";

export const P = 2n ** 255n - 19n;
export const L = 2n ** 252n + 27742317777372353535851937790883648493n;
const modulo = (number) => ((number % P) + P) % P;
const D = modulo(-121665n * inverse(121666n));
const ROOT_OF_MINUS_ONE = power(2n, (P - 1n) / 4n);
export const IDENTITY = [0n, 1n, 1n, 0n]; // extended coordinates X, Y, Z, T
const BASE_Y = modulo(4n * inverse(5n));
export const BASE = fromAffine(rootFor(BASE_Y, 0n), BASE_Y);

function power(base, exponent) {
  let result = 1n;
  for (let square = modulo(base); exponent > 0n; exponent >>= 1n, square = (square * square) % P) {
    if (exponent & 1n) result = (result * square) % P;
  }
  return result;
}

function inverse(number) {
  return power(number, P - 2n);
}

function fromAffine(x, y) {
  return [x, y, 1n, modulo(x * y)];
}

/** x of the point with this y and sign, or null where there is none. x = 0 has no sign bit (5.1.3, step 4). */
function rootFor(y, sign) {
  const [u, v] = [modulo(y * y - 1n), modulo(D * y * y + 1n)];
  const cube = modulo(v * v * v);
  let x = modulo(u * cube * power(modulo(u * cube) * modulo(cube * v), (P - 5n) / 8n)); // step 3: u·v³·(u·v⁷)^((p−5)/8)
  if (modulo(v * x * x - u) !== 0n) x = modulo(x * ROOT_OF_MINUS_ONE);
  if (modulo(v * x * x - u) !== 0n) return null;
  if (x === 0n && sign === 1n) return null;
  return (x & 1n) === sign ? x : modulo(-x);
}

const points = new Map(); // of keys, which come again and again

/** The point these 32 bytes are the canonical encoding of, or null. */
export function pointOf(bytes) {
  if (bytes.length !== 32) return null;
  const name = bytes.toString("latin1");
  if (!points.has(name)) points.set(name, decompressed(bytes));
  return points.get(name);
}

function decompressed(bytes) {
  const number = littleEndian(bytes);
  const y = number & (2n ** 255n - 1n);
  if (y >= P) return null;
  const x = rootFor(y, number >> 255n);
  return x === null ? null : fromAffine(x, y);
}

export function add([x1, y1, z1, t1], [x2, y2, z2, t2]) {
  const a = modulo((y1 - x1) * (y2 - x2));
  const b = modulo((y1 + x1) * (y2 + x2));
  const c = modulo(2n * t1 * t2 * D);
  const d = modulo(2n * z1 * z2);
  const [e, f, g, h] = [b - a, d - c, d + c, b + a];
  return [modulo(e * f), modulo(g * h), modulo(f * g), modulo(e * h)];
}

export function times(scalar, point) {
  let result = IDENTITY;
  for (let double = point; scalar > 0n; scalar >>= 1n, double = add(double, double)) {
    if (scalar & 1n) result = add(result, double);
  }
  return result;
}

export function isSame([x1, y1, z1], [x2, y2, z2]) {
  return modulo(x1 * z2 - x2 * z1) === 0n && modulo(y1 * z2 - y2 * z1) === 0n;
}

/** One of the eight points whose order divides 8. */
export function isSmallOrder(point) {
  return isSame(times(8n, point), IDENTITY);
}
