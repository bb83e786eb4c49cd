// The map: value or uncertainty by country, five classes, a hatch for what is below the threshold, dots for small places.

import { catalogue, insight } from "../api.js";
import { choice, find, h, svg, swap } from "../dom.js";
import { apart, compact, country, estimate, half, number, percent, plusMinus, span, title, wide } from "../format.js";
import { bars, classes, hatch } from "../marks.js";
import { answerTable, panel } from "../panel.js";
import { asked, remember, state } from "../state.js";
import { geography } from "../vendor.js";

export const controls = ["span", "level"];
const [WIDTH, HEIGHT] = [960, 470];
const isNarrow = () => matchMedia("(max-width: 40rem)").matches; // the map shrinks, a place to press must not
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export function setup(main, frame) {
  return async () => {
    const metrics = await catalogue();
    const fitting = metrics.filter((row) => row.dimensions.some((axis) => axis.name === "country"));
    const row = fitting.find((one) => one.metric === state("metric")) ?? fitting[0];
    if (!row) {
      swap(main, h("p", { class: "empty" }, "No metric of this federation asks by country."));
      return null;
    }
    const parameters = { ...asked(row.window), by: "country" };
    const [{ data: answer }, world] = await Promise.all([insight(row.metric, parameters), geography()]);
    frame.windows(answer.windows);
    const show = state("show") === "noise" ? "noise" : "value";
    const found = places(answer, world);
    const scale = classes(found.filter((one) => one.cell).map((one) => measure(one.cell, show)));
    swap(main,
      panel({ id: "world", size: "two-thirds", heading: title(answer.metric), summary: told(answer),
        answer, parameters, twin: answerTable(answer), body: [tools(fitting, row, show), draw(found, world, scale, show), h("p", { class: "readout", id: "place", "aria-live": "polite" },
          "Point at a country, or focus the map and use the arrow keys; Enter keeps it."), legend(answer, scale, show)] }),
      panel({ id: "list", size: "third", heading: "By place", summary: `${apart(answer.counts)}, ${span(answer.windows)}, ${answer.reporting} nodes.`,
        body: answer.cells.length ? bars(answer.cells, { hidden: answer.hidden, isStacked: true }) : h("p", { class: "empty" }, "No place is large enough to show."),
        twin: answerTable(answer), answer, parameters }));
    const chosen = found.find((one) => one.code === state("place"));
    if (chosen) tell(chosen, true);
    return row.newest;
  };
}

const measure = (cell, show) => (show === "noise" ? half(cell) / Math.max(1, Number(cell.estimate)) : Number(cell.estimate));

function told(answer) {
  const first = [...answer.cells].filter((cell) => /^[A-Z]{2}$/.test(cell.key.country)).sort((a, b) => Number(b.estimate) - Number(a.estimate))[0];
  if (!first) return "No country is large enough to show.";
  const rest = answer.hidden ? ` ${answer.hidden.cells} places are below the threshold.` : "";
  return `${apart(answer.question)} The largest estimate is ${country(first.key.country)} with ${number(first.estimate)} ${plusMinus(first)} ${apart(answer.counts)}.${rest}`;
}

function tools(fitting, row, show) {
  const toggle = (value, text) => h("button", { type: "button", id: `show-${value}`, "aria-pressed": String(show === value),
    onclick: () => remember({ show: value === "noise" ? "noise" : null }) }, text);
  return h("div", { class: "controls" },
    choice("Metric", "metric", fitting.map((one) => [one.metric, title(one.metric)]), row.metric, (value) => remember({ metric: value })),
    h("div", { class: "group", role: "group", "aria-label": "Colour shows" }, toggle("value", "Value"), toggle("noise", "Uncertainty")));
}

/** Every place drawn: { code, name, shape or point, cell or null, isHidden }. */
function places(answer, world) {
  const cells = new Map(answer.cells.map((cell) => [cell.key.country, cell]));
  const labels = answer.dimensions.find((axis) => axis.name === "country")?.labels ?? [];
  const asked = new Set(answer.windows.count ? labels : []);
  const place = (code, more) => ({ code, cell: cells.get(code) ?? null, isHidden: asked.has(code) && !cells.has(code), ...more });
  return [...world.shapes.map((shape) => place(world.codes[shape.properties.name] ?? "", { shape, name: shape.properties.name })),
    ...Object.entries(world.places).filter(([code]) => asked.has(code)).map(([code, point]) => place(code, { point, name: code }))];
}

function draw(found, { d3 }, scale, show) {
  const projection = d3.geoNaturalEarth1().fitExtent([[4, 4], [WIDTH - 4, HEIGHT + 40]], { type: "Sphere" });
  const path = d3.geoPath(projection);
  const marks = found.filter((one) => one.code !== "AQ").map((one) => {
    const kind = one.cell ? `q${scale.of(measure(one.cell, show))}` : one.isHidden ? "" : "blank";
    const isAsked = one.cell || one.isHidden;
    const common = { class: `country ${kind} ${isAsked ? "asked" : ""} ${one.code === state("place") ? "chosen" : ""}`,
      fill: one.isHidden ? "url(#below)" : null };
    const mark = one.point
      ? svg("circle", { ...common, class: `${common.class} place`, cx: projection(one.point)[0], cy: projection(one.point)[1], r: isNarrow() ? 11 : 5 })
      : svg("path", { ...common, d: path(one.shape) });
    if (isAsked) {
      one.at = one.point ? projection(one.point) : path.centroid(one.shape);
      one.mark = mark;
      mark.setAttribute("role", "button");
      mark.setAttribute("tabindex", "-1");
      mark.setAttribute("aria-label", spoken(one));
      mark.addEventListener("pointerenter", () => tell(one));
      mark.addEventListener("focus", () => tell(one));
      mark.addEventListener("click", () => remember({ place: one.code }));
    }
    return mark;
  });
  const asked = found.filter((one) => one.mark);
  const entry = asked.find((one) => one.code === state("place")) ?? asked.find((one) => one.cell) ?? asked[0];
  entry?.mark.setAttribute("tabindex", "0");
  const map = svg("svg", { class: "map", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "group", "aria-label": "World map; the list beside it holds the same numbers" },
    svg("defs", {}, hatch("below")), marks);
  map.addEventListener("keydown", (event) => walk(event, asked));
  return map;
}

/** Arrow keys go to the nearest asked place in that direction; Enter keeps it in the address. */
function walk(event, asked) {
  const now = asked.find((one) => one.mark === document.activeElement);
  if (!now) return;
  if (event.key === "Enter" || event.key === " ") remember({ place: now.code });
  const step = STEPS[event.key];
  if (!step && event.key !== "Enter" && event.key !== " ") return;
  event.preventDefault();
  event.stopPropagation();
  if (!step) return;
  const ahead = asked.filter((one) => one !== now).map((one) => {
    const [dx, dy] = [one.at[0] - now.at[0], one.at[1] - now.at[1]];
    const [along, across] = step[0] ? [dx * step[0], dy] : [dy * step[1], dx];
    return { one, along, far: along + 2 * Math.abs(across) };
  }).filter(({ along }) => along > 0.5).sort((a, b) => a.far - b.far);
  if (!ahead.length) return;
  now.mark.setAttribute("tabindex", "-1");
  ahead[0].one.mark.setAttribute("tabindex", "0");
  ahead[0].one.mark.focus();
}

const spoken = (one) => `${country(one.code)}: ${one.cell ? `${number(one.cell.estimate)} ${plusMinus(one.cell)}` : "below threshold"}`;

function tell(one) {
  swap(find("#place"), h("strong", {}, country(one.code)), ": ",
    one.cell ? [estimate(one.cell), " ", wide(one.cell) ?? ""] : "below threshold; it is in the hidden row of the table");
}

function legend(answer, scale, show) {
  const edges = scale.edges;
  const text = (value) => (show === "noise" ? `± ${percent(value)}` : compact(value));
  const name = (i) => (i === 0 ? `below ${text(edges[0])}` : i === 4 ? `from ${text(edges[3])}` : `${text(edges[i - 1])} to ${text(edges[i])}`);
  const box = (inside) => svg("svg", { viewBox: "0 0 28 14", "aria-hidden": "true" }, inside);
  const used = new Set(answer.cells.map((cell) => scale.of(measure(cell, show))));
  return h("ul", { class: "legend", "aria-label": "Legend" },
    [0, 1, 2, 3, 4].filter((i) => used.has(i)).map((i) => h("li", {}, box(svg("rect", { width: 28, height: 14, class: `q${i}` })), name(i))),
    h("li", {}, box([svg("defs", {}, hatch("below-legend")), svg("rect", { width: 28, height: 14, fill: "url(#below-legend)" })]), "below threshold"),
    h("li", {}, box(svg("rect", { x: .5, y: .5, width: 27, height: 13, class: "country blank" })), "not asked by itself"));
}
