// The threshold of discovered keys: privacy.md 2.7. τ is the least integer with P(X ≥ τ − 1) ≤ δ/C, X its noise.
//
// Sums of e^(-x) in fixed point, cut so that a tail is never too small (metrics.md 10.3: tails rounded up).
import { compare, div, mul, ratioOf, whole } from "./ratios.mjs";

const BITS = 256n;
const ONE = 1n << BITS;
const SLACK = 1n << 64n; // far above all rounding of a sum, far below any δ in use

const known = new Map(); // tails by law and people

/** Whether this many noised people are at least τ. */
export function isThreshold(block, delta, maxCells, people) {
  const allowed = div(delta, whole(maxCells));
  const { mechanism, sigma2, b } = block;
  const law = mechanism === "gaussian" ? sigma2 : b;
  const name = `${mechanism} ${law.top}/${law.bottom} ${people}`;
  if (!known.has(name)) known.set(name, tails(block, people - 1n));
  const [above, all] = known.get(name);
  return compare(ratioOf(above, all), allowed) <= 0;
}

/** τ itself. */
export function thresholdOf(block, delta, maxCells) {
  let [low, high] = [0n, 1n];
  while (!isThreshold(block, delta, maxCells, high)) [low, high] = [high, 2n * high];
  while (high - low > 1n) {
    const middle = (low + high) >> 1n;
    if (isThreshold(block, delta, maxCells, middle)) high = middle;
    else low = middle;
  }
  return high;
}

/** [P(X ≥ from) rounded up, the normaliser rounded down], both over the same unit. */
function tails(block, from) {
  const weight = block.mechanism === "gaussian"
    ? (x) => expOfMinus(mul(whole(x * x), div(ratioOf(1n, 2n), block.sigma2)))
    : (x) => expOfMinus(div(whole(x < 0n ? -x : x), block.b));
  let [all, above] = [weight(0n), from <= 0n ? weight(0n) : 0n];
  for (let x = 1n; ; x++) {
    const w = weight(x);
    if (w === 0n) break;
    all += 2n * w;
    above += (x >= from ? w : 0n) + (-x >= from ? w : 0n);
  }
  return [above + SLACK, all - SLACK];
}

/** e^(-r) · 2^BITS, below by a little: halved until small, then a series, then squared back. */
function expOfMinus(r) {
  let halvings = 0n;
  let scaled = (r.top << BITS) / r.bottom;
  while (scaled > ONE >> 8n) {
    scaled >>= 1n;
    halvings++;
  }
  let [sum, term] = [0n, ONE];
  for (let n = 1n; term !== 0n; n++) {
    sum += term;
    term = (-term * scaled) / (n << BITS);
  }
  for (; halvings > 0n; halvings--) sum = (sum * sum) >> BITS;
  return sum;
}
