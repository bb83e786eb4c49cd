// Figures of an answer, and what is shown: answers.md 5, 6.4, 6.5. `view` is an answer's headline, see answers.mjs.
import { compare, div, minus, mul, parseDecimal, plus, ratioOf, whole } from "./ratios.mjs";
import { falling } from "./consistency.mjs";
import { powerUpTo, quantileOf, stepOf } from "./quantiles.mjs";
import { ratioSet } from "./ratiosets.mjs";
import { FINE, decimalsOf, root, rounded, textOf } from "./rounding.mjs";
import { ratioCritical, strays } from "./spread.mjs";
import { NOTHING, add } from "./sums.mjs";

const TINY = ratioOf(1n, 10n ** 6n);
const RATE = ratioOf(1n, 1_000n);
const HALF = ratioOf(1n, 2n);
const UNIT = [whole(0), whole(1)];
const SHARES = { p10: [1n, 10n], p25: [1n, 4n], p50: [1n, 2n], p75: [3n, 4n], p90: [9n, 10n] };

/** metrics.md 9.5 */
export function isLarge({ value, noise }) {
  const isTen = compare(value, whole(10)) >= 0;
  return isTen && compare(mul(value, value), mul(ratioOf(1_089n, 100n), noise.variance)) >= 0;
}

const shownText = (value, step) => (value === null ? null : textOf(rounded(value, step), decimalsOf(step)));

/** All of an answer. */
export function figuresOf(view) {
  const figures = FIGURES[view.layout.kind];
  if (figures === undefined) return [];
  const groups = view.groups();
  const each = groups.map(({ key, labels }) => ({ key, at: (block, own) => view.sum(block, [...labels, ...own]) }));
  const all = { key: {}, at: (block, own) => add(NOTHING, ...groups.map(({ labels }) => view.sum(block, [...labels, ...own]))) };
  return [...each, ...(groups.length > 1 ? [all] : [])].flatMap((group) =>
    figures(view, group).map((figure) => ({ key: group.key, consistent: null, ...figure })));
}

/** Bounded estimates as texts, by 6.5's rounding. */
function written({ name, kind, set, step }) {
  const { point, lower, upper, status } = set;
  return { name, kind, status, estimate: shownText(point, step), lower: shownText(lower, step), upper: shownText(upper, step) };
}

const rate = (view, name, set) => written({ name, kind: "rate", set, step: view.isRaw ? TINY : RATE });

function mean(view, name, set) {
  const { lower, upper } = set;
  let step = RATE;
  if (lower !== null && upper !== null) step = powerUpTo(div(minus(upper, lower), whole(20)));
  if (view.isRaw || compare(step, TINY) < 0) step = TINY;
  return written({ name, kind: "mean", set, step });
}

const ratio = (view, N, D, bounds) => ratioSet(N, D, whole(0), ratioCritical([N.noise, D.noise], view.level), bounds);

function share(view, N, rest) {
  return ratioSet(N, add(N, rest), N.noise.variance, ratioCritical([N.noise, rest.noise], view.level), UNIT);
}

const FIGURES = {
  mean(view, { at }) {
    const [low, high] = view.layout.tree.measure.range.map((text) => parseDecimal(text, "range"));
    const count = at("count", []);
    if (!isLarge(count)) return [];
    const [middle, half] = [mul(plus(low, high), HALF), mul(minus(high, low), HALF)];
    const set = ratio(view, at("deviation", []), count, [minus(whole(0), half), half]);
    const moved = Object.fromEntries(["point", "lower", "upper"].map((end) => [end, set[end] && plus(set[end], middle)]));
    return [mean(view, "mean", { ...moved, status: set.status })];
  },

  histogram(view, { at }) {
    const bins = view.layout.own[0].labels.map((label) => at("histogram", [label]));
    if (!isLarge(add(...bins))) return [];
    const { edges } = view.layout.tree.measure;
    const numbers = edges.map((edge) => parseDecimal(edge, "edge"));
    const step = stepOf(numbers);
    return Object.entries(SHARES).map(([name, part]) => {
      const { point, lower, upper, status } = quantileOf(bins.slice(0, -1), edges, ratioOf(...part), view.level, isLarge);
      const fine = point && rounded(point, ratioOf(1n, FINE));
      const set = { point: fine, lower: lower === null ? null : numbers[lower], upper: upper === null ? null : numbers[upper], status };
      return written({ name, kind: "quantile", set, step });
    });
  },

  funnel(view, { at }) {
    const steps = view.layout.own[0].labels;
    const cells = steps.map((step) => at("funnel", [step]));
    if (!isLarge(add(...cells))) return [];
    const reached = cells.map((_, from) => add(...cells.slice(from)));
    const consistent = falling(reached.map(({ value }) => value));
    const counts = steps.map((step, order) => {
      const { value, noise } = reached[order];
      const w = root(strays(noise, view.level), ratioOf(1n, FINE));
      const set = { point: value, lower: minus(value, w), upper: plus(value, w), status: "ok" };
      return {
        ...written({ name: `reached ${step}`, kind: "count", set, step: view.quantum }),
        consistent: shownText(consistent[order], view.quantum),
      };
    });
    const rates = steps.slice(1).map((step, order) => rate(view, `rate ${step}`, share(view, reached[order + 1], cells[order])));
    return [...counts, ...rates];
  },

  retention(view, { at }) {
    const [cohorts, ages] = view.layout.own.map(({ labels }) => labels);
    const sizes = cohorts.map((cohort) => at("retention", [cohort, "0"]));
    if (!isLarge(add(...sizes))) return [];
    return cohorts.flatMap((cohort, order) =>
      ages.slice(1).filter((age) => Number(age) < cohorts.length - order).map((age) => {
        const set = ratio(view, at("retention", [cohort, age]), sizes[order], UNIT);
        return rate(view, `cohort ${cohort} age ${age}`, set);
      }));
  },

  score(view, { at }) {
    const people = at("people", []);
    if (!isLarge(people)) return [];
    const names = view.layout.own[0].labels;
    const points = names.map((name) => at("score", [name]));
    const bounds = names.map((name) => whole(BigInt(view.layout.tree.measure.score[name].most)));
    const figure = (name, sum, bound) => mean(view, name, ratio(view, sum, people, [minus(whole(0), bound), bound]));
    const each = names.map((name, order) => figure(name, points[order], bounds[order]));
    return [...each, figure("score", add(...points), bounds.reduce(plus))];
  },

  journey(view, { at }) {
    const [{ labels }] = view.layout.own;
    const cell = (from, to) => at("journey", [from, to]);
    const all = labels.flatMap((from) => labels.map((to) => cell(from, to)));
    if (!isLarge(add(...all))) return [];
    return labels.flatMap((from) => {
      const others = labels.filter((to) => to !== from);
      if (!isLarge(add(...others.map((to) => cell(from, to))))) return [];
      return others.filter((to) => isLarge(cell(from, to))).map((to) => {
        const rest = add(NOTHING, ...others.filter((other) => other !== to).map((other) => cell(from, other)));
        return rate(view, `${from} > ${to}`, share(view, cell(from, to), rest));
      });
    });
  },
};

/** 6.4, of each group of the axes kept whose sum over bins is shown. */
export function mediansOf(view) {
  if (view.layout.kind !== "histogram") return [];
  const { edges } = view.layout.tree.measure;
  const step = stepOf(edges.map((edge) => parseDecimal(edge, "edge")));
  return view.groups().flatMap(({ key, labels }) => {
    const bins = view.layout.own[0].labels.map((label) => view.sum("histogram", [...labels, label]));
    if (!isLarge(add(...bins))) return [];
    const { point, lower, upper, status } = quantileOf(bins.slice(0, -1), edges, HALF, view.level, isLarge);
    return [{ key, estimate: shownText(point, step), lower: edges[lower] ?? null, upper: edges[upper] ?? null, status }];
  });
}
