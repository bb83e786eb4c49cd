// The noise of privacy.md 3: bytes in, samples out. Tables (3.2, 3.3) in big integers; `geometric` (3.6) in binary64.
//
// Left out: the exact samplers of 3.5 and the choice of 3.7, whose use of bytes the text does not say.
import { createCipheriv } from "node:crypto";
import { div, isBelow, ratioOf, whole } from "./ratios.mjs";

const BITS = 384n; // 2^127 is asked for; the error of all sums stays below 2^40 units
const ONE = 1n << BITS;
const TOP = (1n << 127n) - 1n;
const HALF = ratioOf(1n, 2n);
const TABLE_SIGMA2 = whole(1 << 22);
const TABLE_SCALE = whole(360);

/** 3.1: AES-256 in counter mode from zero. */
export class KeyStream {
  constructor(key) {
    this.cipher = createCipheriv("aes-256-ctr", key, Buffer.alloc(16));
  }

  take(length) {
    return this.cipher.update(Buffer.alloc(length));
  }
}

/** Whether 3.2 draws this law by a table, or 3.5 exactly. */
export function hasTable({ sigma2, scale }) {
  return sigma2 === undefined ? !isBelow(TABLE_SCALE, scale) : !isBelow(TABLE_SIGMA2, sigma2);
}

/** T_k = floor(2^127 · P(|X| ≤ k)), up to the first that is 2^127 - 1. */
export function thresholdsOf(law) {
  const weights = [...weightsOf(law)];
  const total = weights.reduce((sum, weight, x) => sum + (x === 0 ? weight : 2n * weight), 0n);
  const thresholds = [];
  let inside = 0n;
  for (const [x, weight] of weights.entries()) {
    inside += x === 0 ? weight : 2n * weight;
    const threshold = (inside << 127n) / total;
    thresholds.push(threshold > TOP ? TOP : threshold);
    if (threshold >= TOP) break;
  }
  return thresholds;
}

/** e^(-x²/(2σ²)) or e^(-x/b) for x = 0, 1, …, in fixed point, until nothing is left. */
function* weightsOf({ sigma2, scale }) {
  const isGaussian = sigma2 !== undefined;
  let step = isGaussian ? expOfMinus(div(HALF, sigma2)) : expOfMinus(div(whole(1), scale));
  const ratio = isGaussian ? mulFixed(step, step) : ONE; // (x + 1)² - x² grows by 2
  for (let weight = ONE; weight > 0n; weight = mulFixed(weight, step), step = mulFixed(step, ratio)) {
    yield weight;
    if (weight < 1n << 128n) return; // beyond 2^-256 nothing moves a threshold
  }
}

const mulFixed = (left, right) => (left * right) >> BITS;

function expOfMinus(r) {
  let halvings = 0n;
  let scaled = (r.top << BITS) / r.bottom;
  for (; scaled > ONE >> 8n; scaled >>= 1n) halvings++;
  let [sum, term] = [0n, ONE];
  for (let n = 1n; term !== 0n; n++) {
    sum += term;
    term = (-term * scaled) / (n << BITS);
  }
  for (; halvings > 0n; halvings--) sum = mulFixed(sum, sum);
  return sum;
}

/** 3.2: n words, then 64 more bits for each draw whose 63 bits are those of a threshold. */
export function tableSamples(thresholds, stream, count) {
  const words = stream.take(8 * count);
  const heads = new Set(thresholds.map((threshold) => threshold >> 64n));
  return Array.from({ length: count }, (_, at) => {
    const word = words.readBigUInt64LE(8 * at);
    const v = word >> 1n;
    const more = heads.has(v) ? stream.take(8).readBigUInt64LE() : 0n;
    const size = countUpTo(thresholds, (v << 64n) | more);
    return word & 1n && size > 0 ? -size : size;
  });
}

/** How many thresholds are at most u: they rise. */
function countUpTo(thresholds, u) {
  let [low, high] = [0, thresholds.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (thresholds[middle] <= u) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** 3.6, as floats compute it. */
export function geometricSamples(scale, stream, count) {
  const minus = -Number(scale.bottom) / Number(scale.top);
  return Array.from({ length: count }, () => {
    let u = 0.5;
    while (u === 0.5) u = uniform(stream.take(7));
    const c = (u - 0.5) * (1 + Math.exp(minus));
    return Math.sign(c) * Math.floor(Math.log(Math.abs(c)) / minus) + 0;
  });
}

function uniform(bytes) {
  const word = bytes.readUIntLE(0, 6) + (bytes[6] & 31) * 2 ** 48; // mod 2^53
  return word / 2 ** 53;
}

/** The law of a vector: σ² of a Gaussian, b of a Laplace. */
export const parseLaw = ({ sigma_squared: sigma2, scale }, parse) =>
  (sigma2 === undefined ? { scale: parse(scale, "scale") } : { sigma2: parse(sigma2, "sigma2") });

