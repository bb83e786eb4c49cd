// Medians and other quantiles of a histogram: answers.md 6.4.
import { compare, div, minus, mul, parseDecimal, ratioOf, whole } from "./ratios.mjs";
import { least, most } from "./ratiosets.mjs";
import { strays } from "./spread.mjs";
import { NOTHING, add, less, times } from "./sums.mjs";

const TEN = whole(10);

/** The largest power of ten that is at most a tenth of the narrowest bin between edges. */
export function stepOf(edges) {
  if (edges.length === 1) return ratioOf(1n, 10n);
  const widths = edges.slice(1).map((edge, at) => minus(edge, edges[at]));
  return powerUpTo(div(widths.reduce(least), TEN));
}

/** The largest power of ten at most this. */
export function powerUpTo(limit) {
  let power = whole(1);
  while (compare(power, limit) > 0) power = div(power, TEN);
  while (compare(mul(power, TEN), limit) <= 0) power = mul(power, TEN);
  return power;
}

/** `bins`: sums without `none`. Ends are numbers of edges, from 0, or null. */
export function quantileOf(bins, written, share, level, isShown) {
  const edges = written.map((edge) => parseDecimal(edge, "edge"));
  const all = add(...bins);
  const noisy = { point: null, lower: null, upper: null, status: "too_noisy" };
  if (all.value.top <= 0n || !isShown(all)) return noisy;
  const rest = minus(whole(1), share);
  const gaps = edges.map((_, at) => {
    const [below, above] = [bins.slice(0, at + 1), bins.slice(at + 1)].map((some) => add(NOTHING, ...some));
    return less(times(below, rest), times(above, share));
  });
  const isSure = ({ value, noise }) => compare(mul(value, value), strays(noise, level)) > 0;
  const isPast = (at) => at >= 0 && gaps[at].value.top > 0n && isSure(gaps[at]);
  const isBefore = (at) => at < edges.length && gaps[at].value.top < 0n && isSure(gaps[at]);
  const kept = bins.map((_, at) => at).filter((at) => !isPast(at - 1) && !isBefore(at));
  if (kept.length === 0) return noisy;
  const lower = kept[0] === 0 ? null : kept[0] - 1;
  const upper = kept.at(-1) === edges.length ? null : kept.at(-1);
  return { ...pointOf(gaps, edges, lower, upper), lower, upper };
}

function pointOf(gaps, edges, lower, upper) {
  const highest = [];
  for (const { value } of gaps) highest.push(highest.length === 0 ? value : most(highest.at(-1), value));
  const at = highest.findIndex(({ top }) => top >= 0n);
  if (at < 0) return { point: null, status: "above_last_edge" };
  if (at === 0) return { point: null, status: "below_first_edge" };
  const [h, next] = [highest[at - 1], highest[at]];
  let point = minus(edges[at - 1], mul(div(h, minus(next, h)), minus(edges[at], edges[at - 1])));
  if (lower !== null) point = most(point, edges[lower]);
  if (upper !== null) point = least(point, edges[upper]);
  return { point, status: "ok" };
}
