// What WebCrypto leaves out of Ed25519 (specs/mesh.md 3.2, 3.3): whether 32 bytes are the one encoding of a point of the
// prime-order subgroup other than the identity, and whether a signature's S is below the group's order. With both R and the
// key in that subgroup the equation with and without the cofactor are the same, so any browser's verify() is exact.

const P = 2n ** 255n - 19n;
const L = 2n ** 252n + 27742317777372353535851937790883648493n;
const mod = (a) => ((a % P) + P) % P;

function power(base, exponent) {
  let [result, square] = [1n, mod(base)];
  for (let left = exponent; left > 0n; left >>= 1n) {
    if (left & 1n) result = mod(result * square);
    square = mod(square * square);
  }
  return result;
}

const D = mod(-121665n * power(121666n, P - 2n));
const ROOT_OF_MINUS_ONE = power(2n, (P - 1n) / 4n);

const little = (bytes) => bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);

/** The point of an encoding in extended coordinates, or null where it is not the canonical one of any point. */
function decoded(bytes) {
  if (bytes.length !== 32) return null;
  const whole = little([...bytes]);
  const [sign, y] = [whole >> 255n, whole & ((1n << 255n) - 1n)];
  if (y >= P) return null;
  const [u, v] = [mod(y * y - 1n), mod(D * y * y + 1n)];
  let x = mod(u * power(v, 3n) * power(u * power(v, 7n), (P - 5n) / 8n));
  if (mod(v * x * x) !== u) x = mod(x * ROOT_OF_MINUS_ONE);
  if (mod(v * x * x) !== u) return null; // not on the curve
  if (x === 0n && sign) return null;
  if ((x & 1n) !== sign) x = P - x;
  return [x, y, 1n, mod(x * y)];
}

/** Complete addition (RFC 8032, 5.1.4): holds for doubling and for the identity, too. */
function added([x1, y1, z1, t1], [x2, y2, z2, t2]) {
  const [a, b, c, d] = [mod((y1 - x1) * (y2 - x2)), mod((y1 + x1) * (y2 + x2)), mod(2n * D * t1 * t2), mod(2n * z1 * z2)];
  const [e, f, g, h] = [b - a, d - c, d + c, b + a];
  return [mod(e * f), mod(g * h), mod(f * g), mod(e * h)];
}

function times(scalar, point) {
  let [result, double] = [[0n, 1n, 1n, 0n], point];
  for (let left = scalar; left > 0n; left >>= 1n) {
    if (left & 1n) result = added(result, double);
    double = added(double, double);
  }
  return result;
}

const isIdentity = ([x, y, z]) => x === 0n && y === z;

/** True for the one encoding of a point of the prime-order subgroup other than the identity. */
export function isSoundPoint(bytes) {
  const point = decoded(bytes);
  return point !== null && !isIdentity(point) && isIdentity(times(L, point));
}

/** True when the rules that the equation does not hold are kept: lengths, S below the order, R a sound point. */
export const isSoundSignature = (bytes) => bytes.length === 64 && little([...bytes.slice(32)]) < L && isSoundPoint(bytes.slice(0, 32));

/** Ed25519 as the protocol has it. Throws NotSupportedError in a browser whose WebCrypto does not know it. */
export async function isSigned(key, signature, message) {
  if (!isSoundPoint(key) || !isSoundSignature(signature)) return false;
  const imported = await crypto.subtle.importKey("raw", key, { name: "Ed25519" }, false, ["verify"]);
  return crypto.subtle.verify({ name: "Ed25519" }, imported, signature, message);
}
