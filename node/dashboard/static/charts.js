// Small drawings. Each stands beside the same numbers in text, so they are hidden from screen readers.

const SVG = "http://www.w3.org/2000/svg";

function svg(tag, attributes, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** A line over windows with the band of its privacy interval. */
export function sparkline(series) {
  const low = Math.min(0, ...series.map((one) => Number(one.lower)));
  const high = Math.max(1, ...series.map((one) => Number(one.upper)));
  const x = (i) => (series.length === 1 ? 50 : (100 * i) / (series.length - 1)).toFixed(2);
  const y = (value) => (30 - (30 * (Number(value) - low)) / (high - low)).toFixed(2);
  const line = (field) => series.map((one, i) => `${x(i)},${y(one[field])}`);
  const band = [...line("upper"), ...line("lower").reverse()].join(" ");
  return svg("svg", { class: "spark", viewBox: "0 0 100 30", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("polygon", { class: "band", points: band }),
    svg("polyline", { class: "path", points: line("estimate").join(" ") }));
}

/** A bar up to the estimate, with a whisker over the interval; `most` is the end of the scale. */
export function bar(row, most) {
  const at = (value) => Math.max(0, Math.min(100, (100 * Number(value)) / most)).toFixed(2);
  return svg("svg", { class: "bar", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { class: "fill", x: 0, y: 1, width: at(row.estimate), height: 8 }),
    svg("line", { class: "whisker", x1: at(row.lower), x2: at(row.upper), y1: 5, y2: 5 }));
}
