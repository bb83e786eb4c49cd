// The Overview: tiles, the main line with the period before, top lists, and what changed by more than the noise.

import { catalogue, insight } from "../api.js";
import { choice, h, svg, swap, unseen } from "../dom.js";
import { apart, between, day, differs, estimate, keyText, number, plusMinus, span, title, windowText } from "../format.js";
import { drawLine, told } from "../line.js";
import { bars, sparkline } from "../marks.js";
import { answerTable, panel, seriesTable, table } from "../panel.js";
import { silent } from "../peers.js";
import { asked, remember, state } from "../state.js";
import { insightPath } from "../take.js";

export const controls = ["span", "level"];
const TILES = 3;
const TOP = 7;
const CHANGES = 6;
const Z = { "0.80": 1.281552, "0.95": 1.959964, "0.99": 2.575829 };
const ORDER = { people: 0, count: 1, mean: 2, sum: 2, score: 3, top: 4 }; // the others have pages of their own

export function setup(main, frame) {
  return async ({ reply }) => {
    const metrics = await catalogue();
    if (!metrics.some((row) => row.newest)) {
      swap(main, h("p", { class: "empty" }, "Nothing has been released yet. The first numbers appear when the first window closes."));
      return null;
    }
    const kinds = new Map(metrics.filter((row) => row.measure in ORDER).map((row) => [row.metric, row.window]));
    const spanOf = (name) => asked(kinds.get(name));
    const answers = await Promise.all([...kinds.keys()].map(async (name) => compared((await insight(name, spanOf(name))).data, metrics, spanOf(name))));
    const ordered = answers.sort((a, b) => ORDER[a.measure] - ORDER[b.measure] || a.dimensions.length - b.dimensions.length);
    const chosen = ordered.find((one) => one.metric === state("metric")) ?? ordered[0];
    const before = await earlier(chosen, metrics);
    const lists = ordered.filter((one) => one.dimensions.length === 1 && one.dimensions[0].name !== "hour"); // hours: Rhythm
    frame.windows(chosen.windows);
    swap(main, tiles(headlines(ordered), reply), mainLine(chosen, ordered, before, spanOf(chosen.metric)), changes(chosen, ordered, { ...spanOf(chosen.metric), compare: "previous" }),
      ...lists.map((one, i) => topList(one, spanOf(one.metric), lists.length % 2 && i === lists.length - 1 ? "" : "half")));
    await drawLine(document.getElementById("main-line"), { series: chosen.series, previous: before?.series ?? null, name: "main" });
    return metrics.map((row) => row.newest).filter(Boolean).sort().at(-1);
  };
}

/** The span of equal length just before, where the metric already was in the catalogue; else null. */
function spanBefore(answer, metrics) {
  if (!answer.windows.count) return null;
  const hours = { hour: 1, day: 24, week: 168, month: 720 }[answer.windows.kind] * answer.windows.count;
  const to = instantOf(answer.windows.first);
  const from = new Date(to.getTime() - hours * 3_600_000);
  const begins = Math.min(...metrics.filter((row) => row.metric === answer.metric).map((row) => instantOf(row.from)));
  const text = (date) => date.toISOString().slice(0, 13);
  return from >= begins ? { from: text(from), to: text(to) } : null;
}

/** The answer with the comparison that the API makes, where there is a span to compare with. */
async function compared(answer, metrics, parameters) {
  if (!spanBefore(answer, metrics)) return answer;
  return (await insight(answer.metric, { ...parameters, compare: "previous" })).data;
}

/** The same metric in the span before, for the dashed line; null where it was not released in all of it. */
async function earlier(answer, metrics) {
  const span = spanBefore(answer, metrics);
  if (!span) return null;
  const { data } = await insight(answer.metric, { ...span, level: answer.level });
  return data.total && data.series.length === answer.series.length ? data : null;
}

function instantOf(text) {
  const start = text.split("/")[0];
  return new Date(start.includes("T") ? `${start}:00Z` : `${start}T00:00Z`);
}

/** One of each kind: how many people, how much was done, one mean. */
function headlines(ordered) {
  const kinds = [...new Set(ordered.map((one) => ORDER[one.measure]))];
  const first = kinds.map((kind) => ordered.find((one) => ORDER[one.measure] === kind));
  return [...first, ...ordered.filter((one) => !first.includes(one))].slice(0, TILES);
}

function tiles(answers, reply) {
  const members = reply?.data.members ?? [];
  const away = silent(reply).length;
  const nodes = h("article", { class: "panel tile" }, h("h2", {}, "Nodes in touch"),
    h("p", { class: "figure" }, `${members.length - away} `, h("span", { class: "pm" }, `of ${members.length}`)),
    h("p", { class: "quiet" }, away ? "Their released numbers still count; new ones are late." : "All of them were heard of lately."));
  return h("section", { class: "tiles", "aria-label": "In short" }, answers.map(tile), nodes);
}

function tile(answer) {
  const { total } = answer;
  const mean = answer.figures?.find((row) => row.kind === "mean" && row.status === "ok");
  if (mean) {
    return h("article", { class: "panel tile", "data-metric": answer.metric }, h("h2", {}, `${title(answer.metric)}, ${apart(mean.name)}`),
      h("p", { class: "figure" }, h("span", { title: `privacy interval ${between(mean)}` }, number(mean.estimate)), " ",
        h("span", { class: "pm" }, `${number(mean.lower)} to ${number(mean.upper)}`)),
      h("p", { class: "quiet" }, `over ${number(total.estimate)} ${plusMinus(total)} ${apart(answer.counts)}, ${answer.reporting} nodes`));
  }
  return h("article", { class: "panel tile", "data-metric": answer.metric }, h("h2", {}, title(answer.metric)),
    h("p", { class: "figure" }, total ? estimate(total) : h("span", { class: "pm" }, "nothing released")),
    h("p", { class: "quiet" }, `${apart(answer.counts)}, ${answer.reporting} nodes`), sparkline(answer.series));
}

function mainLine(answer, answers, before, parameters) {
  const options = answers.map((one) => [one.metric, title(one.metric)]);
  const legend = h("ul", { class: "legend" },
    h("li", {}, key("line"), "estimate"), h("li", {}, key("band"), "privacy interval"),
    before ? h("li", {}, key("before"), `the ${before.windows.count} ${before.windows.kind}s before`) : null);
  return panel({ id: "main-panel", size: "two-thirds", heading: title(answer.metric),
    summary: `${apart(answer.question)} ${told(answer.series, differs)}`,
    body: [h("div", { class: "controls" }, choice("Metric", "metric", options, answer.metric, (value) => remember({ metric: value }))),
      h("div", { id: "main-line" }), legend],
    twin: seriesTable(answer.series, windowText, answer.level), answer, parameters, isOverTime: true });
}

const key = (kind) => svg("svg", { viewBox: "0 0 28 14", "aria-hidden": "true" }, kind === "band"
  ? svg("rect", { x: 0, y: 2, width: 28, height: 10, class: "legend-band" })
  : svg("line", { x1: 0, x2: 28, y1: 7, y2: 7, class: `legend-${kind}` }));

/** Only what is more than both noises together is called a change; the API says which those are. */
function changes(chosen, answers, parameters) {
  const { compare } = chosen;
  if (!isComparable(chosen)) {
    return panel({ id: "changes", size: "third", heading: "What changed", body: h("p", { class: "empty" },
      "There is no full span before this one to compare with. Choose a shorter span, or wait.") });
  }
  const { total } = compare;
  const words = total.verdict === "real" ? (Number(total.difference) > 0 ? "More than before" : "Fewer than before") : "No change beyond the noise";
  const groups = answers.filter(isComparable).flatMap((answer) => answer.compare.cells
    .filter((cell) => Object.keys(cell.key).length).map((cell) => ({ ...cell, metric: answer.metric, level: answer.level })));
  const found = groups.filter((cell) => standsOut(cell, groups.length))
    .sort((a, b) => Math.abs(b.difference) / Math.max(1, b.before) - Math.abs(a.difference) / Math.max(1, a.before)).slice(0, CHANGES);
  return panel({ id: "changes", size: "third", heading: "What changed",
    summary: `Against the ${chosen.windows.kind}s from ${day(compare.windows[0])} to ${day(compare.windows.at(-1))}. Only what both noises together cannot explain is called a change.`,
    body: [h("p", { class: "figure small" }, words), h("p", {}, `${title(chosen.metric)}: ${number(total.before)} before, `, difference(total), "."),
      h("h3", {}, `Of ${number(groups.length)} groups`), found.length ? h("ul", { class: "plain" }, found.map((cell) => h("li", {},
        h("strong", {}, h("bdi", {}, keyText(cell.key))), " ", h("span", { class: "quiet" }, title(cell.metric)), h("br"),
        `${Number(cell.difference) > 0 ? "▲" : "▼"} from ${number(cell.before)}: `, difference(cell))))
        : h("p", { class: "quiet" }, "None changed by more than the noise."),
      h("p", { class: "quiet small" }, "Many groups are compared at once, so a group is listed only when noise alone would list any in fewer than one of twenty such lists.")],
    twin: table("Every group that was compared; only those marked ▲ or ▼ are called changes.", [[unseen("Verdict"), (cell) => (found.includes(cell) ? (Number(cell.difference) > 0 ? "▲" : "▼") : "")],
      ["Group", (cell) => h("bdi", {}, keyText(cell.key))], ["Metric", (cell) => title(cell.metric)], ["Before", (cell) => number(cell.before), "number"],
      ["Change", (cell) => signed(cell.difference), "number"], ["The noise cannot rule out", (cell) => `${signed(cell.lower)} to ${signed(cell.upper)}`, "number"]], groups, { tall: true }),
    of: { path: insightPath(chosen.metric, parameters), json: () => answers.filter(isComparable) } });
}

/** True when noise would make any of `count` groups look like this at most once in twenty: P(|Z| > z) <= 2 exp(-z²/2). */
function standsOut(cell, count) {
  const sigma = (Number(cell.upper) - Number(cell.lower)) / 2 / Z[cell.level];
  return cell.verdict === "real" && Math.abs(cell.difference) > Math.sqrt(2 * Math.log(2 * count / 0.05)) * sigma;
}

const isComparable = (answer) => Boolean(answer.compare?.total && answer.compare.same_members && answer.compare.windows.length === answer.windows.count);

const signed = (value) => (Number(value) > 0 ? `+${number(value)}` : number(value));
const difference = (row) => h("span", { class: "num" }, signed(row.difference), " ",
  h("span", { class: "pm" }, `(${signed(row.lower)} to ${signed(row.upper)})`));

function topList(answer, parameters, size) {
  const id = `top-${answer.metric}`;
  const more = answer.cells.length > TOP ? ` The first ${TOP} of ${answer.cells.length}.` : "";
  const body = answer.cells.length ? bars(answer.cells, { hidden: answer.hidden, limit: TOP })
    : h("p", { class: "empty" }, answer.total ? "No group is large enough to show." : "Nothing released in this span.");
  return panel({ id, size, heading: title(answer.metric), summary: `${apart(answer.question)} ${apart(answer.counts)}.${more}`,
    body, twin: answerTable(answer), answer, parameters });
}
