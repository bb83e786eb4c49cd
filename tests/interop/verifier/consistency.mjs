// What is exactly true inside a release, by closed forms: metrics.md 9.7, answers.md 6.1.
import { compare, div, minus, mul, parseDecimal, plus, ratioOf, whole } from "./ratios.mjs";
import { least, most } from "./ratiosets.mjs";
import { strays } from "./spread.mjs";
import { add, less } from "./sums.mjs";

const ZERO = whole(0);

/** The middle of the running minimum from the front and the running maximum from the back, at least 0. */
export function falling(reached) {
  const front = running(reached, least);
  const back = running([...reached].reverse(), most).reverse();
  return reached.map((_, at) => most(mul(plus(front[at], back[at]), ratioOf(1n, 2n)), ZERO));
}

function running(values, choose) {
  const found = [];
  for (const value of values) found.push(found.length === 0 ? value : choose(found.at(-1), value));
  return found;
}

/** {rule, status, adjusted, cells, whole}: unrounded values of the headline's cells in order, and of the whole. */
export function consistent(layout, cells, whole_, where) {
  const raw = cells.map(({ value }) => value);
  const asReleased = { status: "as_released", adjusted: 0, cells: raw, whole: whole_?.value ?? null };
  if (cells.length === 0) return { rule: "free", ...asReleased };
  const moved = (rule, values, other = asReleased.whole) => {
    const adjusted = values.filter((value, at) => compare(value, raw[at]) !== 0).length;
    return { rule, status: adjusted > 0 ? "adjusted" : "as_released", adjusted, cells: values, whole: other };
  };
  if (layout.kind === "funnel") return moved("falling", fallingCells(layout, raw));
  if (whole_ !== null && where === null) {
    const found = shared(cells, whole_);
    return found === null ? { rule: "partition", ...asReleased, status: "inconsistent" } : moved("partition", ...found);
  }
  if (layout.kind === "sum" && parseDecimal(layout.tree.measure.range[0], "range").top < 0n) return { rule: "free", ...asReleased };
  return moved("non_negative", raw.map((value) => most(value, ZERO)));
}

/** Per group of `by`: a cell is the difference of two of what was reached. */
function fallingCells({ own: [{ labels }] }, raw) {
  const groups = Array.from({ length: raw.length / labels.length }, (_, at) => raw.slice(at * labels.length, (at + 1) * labels.length));
  return groups.flatMap((group) => {
    const reached = falling(group.map((_, at) => group.slice(at).reduce(plus)));
    return reached.map((value, at) => (at + 1 < reached.length ? minus(value, reached[at + 1]) : value));
  });
}

/** Least squares: the gap is shared out by variance; null where noise does not explain it. */
function shared(cells, whole_) {
  const gap = less(whole_, add(...cells));
  if (compare(mul(gap.value, gap.value), strays(gap.noise, "0.99")) > 0) return null;
  if (gap.noise.variance.top === 0n) return [cells.map(({ value }) => value), whole_.value];
  const part = ({ noise }) => div(mul(noise.variance, gap.value), gap.noise.variance);
  return [cells.map((cell) => plus(cell.value, part(cell))), minus(whole_.value, part(whole_))];
}
