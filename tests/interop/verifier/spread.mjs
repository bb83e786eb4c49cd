// How far noise strays: answers.md 4.2. Noise is {variance, gaussian, draws: [{b, step, n}]}, ratios throughout.
import { ceiling, compare, div, floor, isSame, minus, mul, parseDecimal, plus, ratioOf, whole } from "./ratios.mjs";
import { root } from "./rounding.mjs";

const Z = { "0.80": "1.281551565545", "0.95": "1.959963984541", "0.99": "2.575829303549" };
const BITS = 192n;
const ONE = 1n << BITS;
const MOST_DRAWS = 256;
const WIDE = whole(64);
const HALF = ratioOf(1n, 2n);
const GRID = ratioOf(1n, 1n << 20n);
const ZERO = whole(0);
export const NO_NOISE = { variance: ZERO, gaussian: ZERO, draws: [] };

export function together(...noises) {
  const draws = [];
  for (const draw of noises.flatMap((noise) => noise.draws)) {
    const at = draws.findIndex(({ b, step }) => isSame(b, draw.b) && isSame(step, draw.step));
    if (at < 0) draws.push(draw);
    else draws[at] = { ...draw, n: draws[at].n + draw.n };
  }
  const sum = (field) => noises.reduce((total, noise) => plus(total, noise[field]), ZERO);
  return { variance: sum("variance"), gaussian: sum("gaussian"), draws };
}

/** Of a number times `factor`. */
export function scaled({ variance, gaussian, draws }, factor) {
  const square = mul(factor, factor);
  if (factor.top === 0n) return NO_NOISE;
  const size = factor.top < 0n ? ratioOf(-factor.top, factor.bottom) : factor;
  const steps = draws.map((draw) => ({ ...draw, step: mul(draw.step, size) }));
  return { variance: mul(variance, square), gaussian: mul(gaussian, square), draws: steps };
}

const zOf = (level) => parseDecimal(Z[level], "z");
const square = (value) => mul(value, value);

/** W(noise, level): a square. */
export function strays(noise, level) {
  if (noise.draws.length === 0) return mul(square(zOf(level)), noise.variance);
  if (noise.gaussian.top === 0n && noise.draws.length === 1) {
    const [{ b, step, n }] = noise.draws;
    return square(mul(whole(reach(b, n, level)), step));
  }
  return mul(square(critical(noise, level)), noise.variance);
}

/** c of the mixed case. */
function critical(noise, level) {
  const m = sizeOf(noise);
  const low = floor(m);
  const c = criticalOf(Number(low), level);
  const share = mul(minus(ratioOf(1n, low), div(whole(1), m)), whole(low * (low + 1n)));
  return plus(c, mul(minus(criticalOf(Number(low) + 1, level), c), share));
}

/** 4.2: as many equal draws as have this excess of kurtosis. */
function sizeOf({ variance, draws }) {
  const kappa = draws.reduce((sum, { b, step, n }) => plus(sum, mul(whole(12 * n), square(square(mul(b, step))))), ZERO);
  const m = div(mul(whole(3), square(variance)), kappa);
  if (compare(m, whole(1)) < 0) return whole(1);
  return compare(m, whole(MOST_DRAWS)) > 0 ? whole(MOST_DRAWS) : m;
}

/** c² of a ratio of these parts (6.5). */
export function ratioCritical(parts, level) {
  const z = zOf(level);
  const sizes = parts.filter(({ draws }) => draws.length > 0).map(sizeOf);
  if (sizes.length === 0) return square(z);
  const least = sizes.reduce((left, right) => (compare(left, right) <= 0 ? left : right));
  const c = criticalOf(Number(floor(least)), level);
  return square(compare(c, z) > 0 ? c : z);
}

function criticalOf(n, level) {
  if (n > MOST_DRAWS) return zOf(level);
  return div(between(n, level), root(mul(whole(n), varianceOf(WIDE)), GRID));
}

const varianceOf = (b) => plus(minus(mul(whole(2), square(b)), ratioOf(1n, 6n)), div(whole(1), mul(whole(120), square(b))));

/** t: the smallest whole number of steps within which the sum of n draws lies with this probability. */
function reach(b, n, level) {
  const wanted = parseDecimal(level, "level");
  const tail = mul(whole(2 * n), ratioOf(weight(b), ONE));
  if (compare(tail, minus(whole(1), wanted)) <= 0) return 0n;
  if (n > MOST_DRAWS) return ceiling(root(mul(square(zOf(level)), mul(whole(n), varianceOf(b))), GRID));
  if (compare(b, WIDE) > 0) return ceiling(minus(div(mul(between(n, level), b), WIDE), HALF));
  return BigInt(quantile(b, n, wanted).t);
}

/** x of b = 64. */
function between(n, level) {
  const { t, share } = quantile(WIDE, n, parseDecimal(level, "level"));
  return plus(minus(whole(t), HALF), share);
}

const quantiles = new Map();

function quantile(b, n, wanted) {
  const name = [b.top, b.bottom, n, wanted.top, wanted.bottom].join();
  if (!quantiles.has(name)) quantiles.set(name, findQuantile(b, n, wanted));
  return quantiles.get(name);
}

function findQuantile(b, n, wanted) {
  const law = lawOf(b, n);
  const middle = (law.length - 1) / 2;
  const level = (wanted.top * law.reduce((sum, one) => sum + one, 0n)) / wanted.bottom;
  let inside = law[middle];
  let here = inside;
  let t = 0;
  while (inside < level) {
    t += 1;
    here = law[middle + t] + law[middle - t];
    inside += here;
  }
  return { t, share: ratioOf(level - (inside - here), here) };
}

/** e^(−1/b) in fixed point. */
function weight(b) {
  const x = (b.bottom << BITS) / b.top;
  let halvings = 0n;
  let small = x;
  for (; small > ONE >> 8n; small >>= 1n) halvings += 1n;
  let [sum, term] = [0n, ONE];
  for (let k = 1n; term !== 0n; k++) {
    sum += term;
    term = (-term * small) / (k << BITS);
  }
  for (; halvings > 0n; halvings--) sum = (sum * sum) >> BITS;
  return sum;
}

/** The law of the sum, not normalised, cut where nothing is left: one draw after the other, each a filter both ways. */
function lawOf(b, n) {
  const p = weight(b);
  const half = Math.ceil((Number(b.top) / Number(b.bottom)) * (80 + n)) + 80;
  let law = new Array(2 * half + 1).fill(0n);
  law[half] = ONE;
  for (let draw = 0; draw < n; draw++) {
    const next = new Array(law.length);
    let carried = 0n;
    for (let at = 0; at < law.length; at++) next[at] = carried = law[at] + ((carried * p) >> BITS);
    carried = 0n;
    for (let at = law.length - 1; at >= 0; at--) {
      next[at] += carried;
      carried = ((carried + law[at]) * p) >> BITS;
    }
    const sum = next.reduce((total, one) => total + one, 0n);
    law = next.map((one) => (one << BITS) / sum);
  }
  return law;
}
