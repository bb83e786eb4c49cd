// Small drawings. Each stands beside the same numbers in text, so they are hidden from screen readers.

import { h, svg } from "./dom.js";
import { estimate, keyText, ranks } from "./format.js";

/** A line over windows with the band of its privacy interval. */
export function sparkline(series) {
  if (series.length < 2) return null;
  const low = Math.min(0, ...series.map((one) => Number(one.lower)));
  const high = Math.max(1, ...series.map((one) => Number(one.upper)));
  const x = (i) => ((100 * i) / (series.length - 1)).toFixed(2);
  const y = (value) => (30 - (30 * (Number(value) - low)) / (high - low)).toFixed(2);
  const line = (field) => series.map((one, i) => `${x(i)},${y(one[field])}`);
  return svg("svg", { class: "spark", viewBox: "0 0 100 30", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("polygon", { class: "band", points: [...line("upper"), ...line("lower").reverse()].join(" ") }),
    svg("polyline", { class: "path", points: line("estimate").join(" ") }));
}

/** A bar up to the estimate, with a whisker over the interval; `most` is the end of the scale. */
export function bar(row, most) {
  const at = (value) => Math.max(0, Math.min(100, (100 * Number(value)) / most)).toFixed(2);
  return svg("svg", { class: "bar", viewBox: "0 0 100 18", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { class: "fill", x: 0, y: 2, width: at(row.estimate), height: 14 }),
    svg("line", { class: "point", x1: at(row.estimate), x2: at(row.estimate), y1: 2, y2: 16 }),
    svg("line", { class: "whisker", x1: at(row.lower), x2: at(row.upper), y1: 9, y2: 9 }));
}

const ranked = new WeakMap(); // an answer's cells in order, with their places: drawn again without sorting again

function inOrder(cells) {
  if (!ranked.has(cells)) {
    const sorted = [...cells].sort((a, b) => Number(b.estimate) - Number(a.estimate));
    ranked.set(cells, { sorted, places: ranks(sorted) });
  }
  return ranked.get(cells);
}

/** Bars with whiskers. Ranked ones are sorted and share places that the noise cannot tell apart. */
export function bars(cells, { hidden = null, limit = Infinity, ranked: isRanked = true, isLong = false, isStacked = false, name = (cell) => keyText(cell.key) } = {}) {
  const { sorted, places } = isRanked ? inOrder(cells) : { sorted: cells, places: [] };
  const kept = sorted.slice(0, limit);
  const most = kept.reduce((so, cell) => Math.max(so, Number(cell.upper)), 1); // the hatch is no bar: it has no scale
  const rows = kept.map((cell, i) => h("li", {}, isRanked ? h("span", { class: "rank", title: "place; shared where the noise cannot tell" }, places[i]) : null,
    h("bdi", { class: "name", title: name(cell) }, name(cell)), bar(cell, most), h("span", { class: "value" }, estimate(cell))));
  if (hidden?.cells) {
    rows.push(h("li", {}, h("span", { class: "name suppressed" }, `${hidden.cells} below threshold`),
      h("span", { class: "suppressed-mark", "aria-hidden": "true" }), h("span", { class: "value" }, estimate(hidden))));
  }
  return h("ul", { class: `bars${isLong ? " long-names" : ""}${isStacked ? " stacked" : ""}${isRanked ? "" : " unranked"}` }, rows);
}

/** A hatch for what is below the threshold. */
export const hatch = (id) => svg("pattern", { id, width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
  svg("rect", { class: "hatch-ground", width: 6, height: 6 }), svg("line", { class: "hatch-line", x1: 0, y1: 0, x2: 0, y2: 6 }));

/** Five classes by quantiles: the upper edges of the first four. Equal values never fall into different classes. */
export function classes(values) {
  const sorted = [...new Set(values)].sort((a, b) => a - b);
  const edges = [1, 2, 3, 4].map((fifth) => sorted[Math.min(sorted.length - 1, Math.floor((fifth * sorted.length) / 5))]);
  return { edges, of: (value) => edges.filter((edge) => value >= edge).length };
}
