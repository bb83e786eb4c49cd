// Rhythm: at which hours people are active, day by day. One cell is one released number of one day and one hour.

import { catalogue, insight } from "../api.js";
import { choice, find, h, swap } from "../dom.js";
import { apart, estimate, number, percent, span, title, weekday, wide } from "../format.js";
import { bars, classes } from "../marks.js";
import { answerTable, panel, table } from "../panel.js";
import { insightPath } from "../take.js";
import { asked, remember, state } from "../state.js";

export const controls = ["span", "level"];
const MOST_DAYS = 31;

export function setup(main, frame) {
  return async () => {
    const metrics = await catalogue();
    const fitting = metrics.filter((row) => row.dimensions.some((axis) => axis.name === "hour"));
    const row = fitting.find((one) => one.metric === state("metric")) ?? fitting[0];
    if (!row) {
      swap(main, h("p", { class: "empty" }, "No metric of this federation asks by hour of the day."));
      return null;
    }
    const parameters = { ...asked(row.window), by: "hour" };
    const { data: whole } = await insight(row.metric, parameters);
    frame.windows(whole.windows);
    const windows = whole.series.map((one) => one.window).slice(-MOST_DAYS);
    const days = await Promise.all(windows.map(async (window) => (await insight(row.metric, { window, by: "hour", level: state("level") })).data));
    swap(main,
      panel({ id: "heat", size: "two-thirds", heading: title(whole.metric), summary: `${apart(whole.question)} ${told(whole)} Hours are UTC.`,
        body: [fitting.length > 1 ? h("div", { class: "controls" }, choice("Metric", "metric", fitting.map((one) => [one.metric, title(one.metric)]),
          row.metric, (value) => remember({ metric: value }))) : null, ...heat(days, whole)].filter(Boolean), twin: dayTable(days),
        of: { path: insightPath(row.metric, parameters), json: () => days, python: `from node.client import Client\n\nclient = Client("${location.origin}")\n`
          + `windows = ${JSON.stringify(windows)}\ndays = [client.query("${row.metric}", window=window, by="hour", level="${state("level")}") for window in windows]` } }),
      panel({ id: "hours", size: "third", heading: "Over the whole span", summary: `${apart(whole.counts)}, ${span(whole.windows)}, ${whole.reporting} nodes.`,
        body: bars(whole.cells, { hidden: whole.hidden, ranked: false }), twin: answerTable(whole), answer: whole, parameters }));
    return row.newest;
  };
}

function told(answer) {
  const sorted = [...answer.cells].sort((a, b) => Number(b.estimate) - Number(a.estimate));
  if (!sorted.length) return "No hour is large enough to show.";
  const busy = sorted.filter((cell) => Number(cell.upper) >= Number(sorted[0].lower)).map((cell) => cell.key.hour);
  if (busy.length > 6) return "The noise cannot tell which hour is the busiest.";
  return `Busiest at ${busy.sort((a, b) => a - b).map((hour) => `${hour.padStart(2, "0")}:00`).join(", ")}${busy.length > 1 ? ", which the noise cannot tell apart" : ""}.`;
}

function heat(days, whole) {
  if (!days.length) return [h("p", { class: "empty" }, "Nothing released in this span.")];
  const hours = whole.dimensions.find((axis) => axis.name === "hour").labels.filter((hour) => /^[0-9]+$/.test(hour));
  const scale = classes(days.flatMap((day) => day.cells.map((cell) => Number(cell.estimate))));
  const rows = days.map((day) => {
    const cells = new Map(day.cells.map((cell) => [cell.key.hour, cell]));
    const name = weekday(day.windows.first);
    return h("tr", {}, h("th", { scope: "row" }, name), hours.map((hour) => {
      const cell = cells.get(hour);
      const words = `${name}, ${hour.padStart(2, "0")}:00: ${cell ? `${number(cell.estimate)}, ${number(cell.lower)} to ${number(cell.upper)}` : "below threshold"}`;
      return h("td", {}, h("button", { type: "button", class: cell ? `c${scale.of(Number(cell.estimate))}` : "cx", "aria-label": words, tabindex: "-1",
        onpointerenter: () => tell(name, hour, cell), onfocus: () => tell(name, hour, cell) }));
    }));
  });
  const grid = h("table", { class: days.length <= 10 ? "heat few" : "heat" }, h("thead", {}, h("tr", {}, h("th", {}, ""),
    hours.map((hour) => h("th", { scope: "col" }, hour % 3 ? "" : hour)))), h("tbody", {}, rows));
  grid.querySelector("button")?.setAttribute("tabindex", "0");
  grid.addEventListener("keydown", walk);
  return [h("div", { class: "scroll" }, grid), h("p", { class: "readout", id: "hour", "aria-live": "polite" },
    "Point at a square, or focus it and use the arrow keys."), legend(scale)];
}

function walk(event) {
  const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
  const cell = event.target.closest("td");
  if (!step || !cell) return;
  event.preventDefault();
  event.stopPropagation();
  const next = cell.closest("tbody").rows[cell.parentElement.sectionRowIndex + step[0]]?.cells[cell.cellIndex + step[1]]?.querySelector("button");
  if (!next) return;
  event.target.setAttribute("tabindex", "-1");
  next.setAttribute("tabindex", "0");
  next.focus();
}

function tell(name, hour, cell) {
  swap(find("#hour"), h("strong", {}, `${name}, ${hour.padStart(2, "0")}:00`), ": ", cell ? [estimate(cell), " ", wide(cell) ?? ""] : "below threshold");
}

function legend(scale) {
  const name = (i) => (i === 0 ? `below ${number(scale.edges[0])}` : i === 4 ? `from ${number(scale.edges[3])}`
    : `${number(scale.edges[i - 1])} to ${number(scale.edges[i])}`);
  const box = (kind) => h("span", { class: `swatch ${kind}`, "aria-hidden": "true" });
  return h("ul", { class: "legend heat-legend", "aria-label": "Legend" }, [0, 1, 2, 3, 4].filter((i) => i || scale.edges[0] > -Infinity)
    .map((i) => h("li", {}, box(`c${i}`), name(i))), h("li", {}, box("cx"), "below threshold"));
}

function dayTable(days) {
  const rows = days.flatMap((day) => [...day.cells.map((cell) => ({ ...cell, day, hour: `${cell.key.hour.padStart(2, "0")}:00` })),
    ...(day.hidden ? [{ ...day.hidden, day, hour: `${day.hidden.cells} hours below threshold` }] : [])]);
  return table("", [["Day", (row) => weekday(row.day.windows.first)], ["Hour, UTC", (row) => row.hour], ["Estimate", (row) => number(row.estimate), "number"],
    [`${percent(state("level"))} privacy interval`, (row) => `${number(row.lower)} to ${number(row.upper)}`, "number"]], rows, { tall: true });
}
