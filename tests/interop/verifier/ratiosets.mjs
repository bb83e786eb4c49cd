// Fieller's sets of a ratio, cut to where it lies: answers.md 6.5.
import { compare, div, minus, mul, plus, ratioOf, whole } from "./ratios.mjs";
import { FINE, root } from "./rounding.mjs";

const GRID = ratioOf(1n, 10n ** 6n * FINE);
const ZERO = whole(0);
const negated = ({ top, bottom }) => ratioOf(-top, bottom);
export const least = (left, right) => (compare(left, right) <= 0 ? left : right);
export const most = (left, right) => (compare(left, right) >= 0 ? left : right);
export const within = (value, low, high) => least(most(value, low), high);

/** {point, lower, upper, status} of N/D; `k` their covariance, `square` c². */
export function ratioSet(N, D, k, square, [low, high]) {
  const a = minus(mul(D.value, D.value), mul(square, D.noise.variance));
  const h = minus(mul(N.value, D.value), mul(square, k));
  const g = minus(mul(N.value, N.value), mul(square, N.noise.variance));
  const delta = minus(mul(h, h), mul(a, g));
  const point = D.value.top > 0n ? within(div(N.value, D.value), low, high) : null;
  const [lower, upper, status] = endsOf(a, h, g, delta, low, high);
  if (status === "empty" || compare(lower, high) > 0 || compare(upper, low) < 0) {
    return { point: null, lower: null, upper: null, status: "empty" };
  }
  const ends = [most(lower, low), least(upper, high)];
  return { point: point && within(point, ...ends), lower: ends[0], upper: ends[1], status };
}

function endsOf(a, h, g, delta, low, high) {
  if (a.top > 0n) {
    const r = root(most(delta, ZERO), mul(a, GRID));
    return [div(minus(h, r), a), div(plus(h, r), a), "ok"];
  }
  if (a.top === 0n && h.top !== 0n) {
    const end = div(g, mul(whole(2), h));
    return h.top > 0n ? [end, most(end, high), "unbounded"] : [least(end, low), end, "unbounded"];
  }
  if (a.top === 0n || delta.top < 0n) return [low, high, "unbounded"];
  const r = root(delta, mul(negated(a), GRID));
  const [left, right] = [div(plus(h, r), a), div(minus(h, r), a)];
  const [hasLeft, hasRight] = [compare(left, low) >= 0, compare(right, high) <= 0];
  if (!hasLeft && !hasRight) return [low, high, "empty"];
  if (hasLeft && hasRight) return [low, high, "unbounded"];
  return hasLeft ? [low, left, "unbounded"] : [right, high, "unbounded"];
}
