// The Overview: tiles, the main line with the period before, top lists, and what changed by more than the noise.

import { get, insight } from "../api.js";
import { choice, h, svg, swap } from "../dom.js";
import { differs, estimate, number, plusMinus, span, title, windowText } from "../format.js";
import { drawLine, told } from "../line.js";
import { bars, sparkline } from "../marks.js";
import { answerTable, panel, seriesTable } from "../panel.js";
import { silent } from "../peers.js";
import { asked, remember, state } from "../state.js";

export const controls = ["span", "level"];
const TILES = 3;
const TOP = 7;

export function setup(main, frame) {
  return async ({ reply }) => {
    const { metrics } = (await get("/v1/metrics")).data;
    if (!metrics.some((row) => row.newest)) {
      swap(main, h("p", { class: "empty" }, "Nothing has been released yet. The first numbers appear when the first window closes."));
      return null;
    }
    const names = [...new Set(metrics.filter((row) => row.measure !== "histogram").map((row) => row.metric))];
    const parameters = asked();
    const answers = (await Promise.all(names.map((name) => insight(name, parameters)))).map((one) => one.data);
    const ordered = answers.sort((a, b) => a.dimensions.length - b.dimensions.length);
    const chosen = ordered.find((one) => one.metric === state("metric")) ?? ordered[0];
    const before = await earlier(chosen, metrics);
    const lists = ordered.filter((one) => one.dimensions.length === 1);
    frame.windows(chosen.windows);
    swap(main, tiles(ordered, reply), mainLine(chosen, ordered, before, parameters), changes(chosen, before),
      ...lists.map((one) => topList(one, parameters)));
    await drawLine(document.getElementById("main-line"), { series: chosen.series, previous: before?.series ?? null, name: "main" });
    return metrics.map((row) => row.newest).filter(Boolean).sort().at(-1);
  };
}

/** The same metric over as many windows just before; null where they were not all released. */
async function earlier(answer, metrics) {
  if (!answer.windows.count) return null;
  const row = metrics.find((one) => one.metric === answer.metric);
  const hours = { hour: 1, day: 24, week: 168, month: 720 }[answer.windows.kind] * answer.windows.count;
  const to = instantOf(answer.windows.first);
  const from = new Date(to.getTime() - hours * 3_600_000);
  if (from < instantOf(row.from)) return null;
  const text = (date) => date.toISOString().slice(0, 13);
  const { data } = await insight(answer.metric, { from: text(from), to: text(to), level: answer.level });
  return data.total && data.series.length === answer.series.length ? data : null;
}

function instantOf(text) {
  const start = text.split("/")[0];
  return new Date(start.includes("T") ? `${start}:00Z` : `${start}T00:00Z`);
}

function tiles(answers, reply) {
  const members = reply?.data.members ?? [];
  const away = silent(reply).length;
  const nodes = h("article", { class: "panel tile" }, h("h2", {}, "Nodes in touch"),
    h("p", { class: "figure" }, `${members.length - away} `, h("span", { class: "pm" }, `of ${members.length}`)),
    h("p", { class: "quiet" }, away ? "Their released numbers still count; new ones are late." : "All of them were heard of lately."));
  return h("section", { class: "tiles", "aria-label": "In short" }, answers.slice(0, TILES).map(tile), nodes);
}

function tile(answer) {
  const { total } = answer;
  return h("article", { class: "panel tile", "data-metric": answer.metric }, h("h2", {}, title(answer.metric)),
    h("p", { class: "figure" }, total ? estimate(total) : h("span", { class: "pm" }, "nothing released")),
    h("p", { class: "quiet" }, `${answer.counts}, ${answer.reporting} nodes`), sparkline(answer.series));
}

function mainLine(answer, answers, before, parameters) {
  const options = answers.map((one) => [one.metric, title(one.metric)]);
  const legend = h("ul", { class: "legend" },
    h("li", {}, key("line"), "estimate"), h("li", {}, key("band"), "privacy interval"),
    before ? h("li", {}, key("before"), `the ${before.windows.count} ${before.windows.kind}s before`) : null);
  return panel({ id: "main-panel", size: "two-thirds", heading: title(answer.metric),
    summary: `${answer.question} ${told(answer.series, differs)}`,
    body: [h("div", { class: "controls" }, choice("Metric", "metric", options, answer.metric, (value) => remember({ metric: value }))),
      h("div", { id: "main-line" }), legend],
    twin: seriesTable(answer.series, windowText, answer.level), answer, parameters });
}

const key = (kind) => svg("svg", { viewBox: "0 0 28 14", "aria-hidden": "true" }, kind === "band"
  ? svg("rect", { x: 0, y: 2, width: 28, height: 10, class: "legend-band" })
  : svg("line", { x1: 0, x2: 28, y1: 7, y2: 7, class: `legend-${kind}` }));

/** Only what is more than both noises together is called a change. */
function changes(answer, before) {
  let words;
  if (!before) {
    words = [h("p", {}, "There is no full span before this one to compare with. Choose a shorter span, or wait.")];
  } else {
    const changed = differs(answer.total, before.total);
    const way = Number(answer.total.estimate) > Number(before.total.estimate) ? "More" : "Fewer";
    words = [h("p", { class: "figure" }, changed ? `${way} than before` : "No change beyond the noise"),
      h("p", {}, estimate(answer.total), ` ${answer.counts} against `, estimate(before.total), ` in the span before, ${span(before.windows)}.`),
      cellChanges(answer, before)];
  }
  return panel({ id: "changes", size: "third", heading: "What changed",
    summary: "Only differences outside both privacy intervals are called changes.", body: words });
}

function cellChanges(answer, before) {
  const old = new Map(before.cells.map((cell) => [JSON.stringify(cell.key), cell]));
  const pairs = answer.cells.map((cell) => [cell, old.get(JSON.stringify(cell.key))]).filter(([cell, was]) => was && differs(cell, was));
  if (!answer.dimensions.length) return null;
  if (!pairs.length) return h("p", { class: "quiet" }, "No single group changed by more than the noise.");
  return h("ul", {}, pairs.map(([cell, was]) => h("li", {}, h("bdi", {}, Object.values(cell.key).join(" · ")),
    `: ${number(was.estimate)} ${plusMinus(was)} → ${number(cell.estimate)} ${plusMinus(cell)}`)));
}

function topList(answer, parameters) {
  const id = `top-${answer.metric}`;
  const more = answer.cells.length > TOP ? ` The first ${TOP} of ${answer.cells.length}.` : "";
  const body = answer.cells.length ? bars(answer.cells, { hidden: answer.hidden, limit: TOP })
    : h("p", { class: "empty" }, answer.total ? "No group is large enough to show." : "Nothing released in this span.");
  return panel({ id, size: "half", heading: title(answer.metric), summary: `${answer.question} ${answer.counts}.${more}`,
    body, twin: answerTable(answer), answer, parameters });
}
