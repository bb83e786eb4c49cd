// Explore: one metric in full, by what you choose, with what a new question of this kind would cost.

import { budget, catalogue, insight } from "../api.js";
import { choice, find, h, swap, tag, unchanged, unseen } from "../dom.js";
import { apart, clipping, counted, differs, estimate, figureName, figureText, label, number, percent, ratio, reason, shareText, span, title, windowText } from "../format.js";
import { drawLine, told } from "../line.js";
import { bars } from "../marks.js";
import { fromTheFirst, narrowed, picks } from "../narrow.js";
import { answerTable, panel, seriesTable, table } from "../panel.js";
import { code, insightPath, snippets } from "../take.js";
import { address, asked, remember, state } from "../state.js";

export const controls = ["span", "level"];
const TABS = [["chart", "Chart"], ["table", "Table"], ["line", "Over time"], ["code", "Code"]];

export function setup(main, frame) {
  return async ({ reply }) => {
    const metrics = await catalogue();
    const row = metrics.find((one) => one.metric === state("metric")) ?? metrics.find((one) => one.measure === "people") ?? metrics[0];
    if (!row) {
      swap(main, h("p", { class: "empty" }, "The catalogue is empty: the federation has not agreed on any metric yet."));
      return null;
    }
    const by = state("by");
    const parameters = { ...asked(row.window), ...(by ? { by } : {}), ...(state("raw") === "1" ? { raw: "1" } : {}), ...narrowed(row),
      ...(state("compare") ? { compare: "previous" } : {}) };
    const { data: answer, metadata } = await comparing(row.metric, parameters);
    frame.windows(answer.windows);
    const of = { path: insightPath(row.metric, parameters) };
    const tab = TABS.some(([id]) => id === state("tab")) ? state("tab") : "chart";
    const asks = [row, reply?.data, address("/"), ...["by", "raw", "where", "nodes"].map(state)]; // what a panel is made of, besides the tab
    const still = (id, make) => unchanged(id, [answer, ...asks], make);
    const question = still("question", () => builder(metrics, row, reply?.data.members ?? []));
    for (const button of question.querySelectorAll("[aria-pressed]")) button.setAttribute("aria-pressed", String(button.id === `tab-${tab}`));
    swap(main, question, still("cost", () => cost(row, answer, metadata)), result(answer, parameters, tab),
      answer.compare ? still("compared", () => compared(answer, of)) : null, answer.figures?.length ? still("figures", () => figures(answer, of)) : null,
      still("members", () => members(answer, of, Boolean(answer.compare) !== Boolean(answer.figures?.length))));
    priceOfMore(row);
    if (tab === "line" && answer.series.length) {
      await drawLine(document.getElementById("explore-line"), { series: answer.series, previous: null, name: "explore" });
    }
    return row.newest;
  };
}

/** The answer; without its comparison where the metric is younger than the span before. */
async function comparing(metric, parameters) {
  try {
    return await insight(metric, parameters);
  } catch (error) {
    if (!parameters.compare || error.code !== "bad_window") throw error;
    delete parameters.compare;
    const reply = await insight(metric, parameters);
    return { ...reply, data: { ...reply.data, compare: { refused: error.message } } };
  }
}

function builder(metrics, row, members) {
  const names = [...new Set(metrics.map((one) => one.metric))].map((name) => [name, title(name)]);
  const axes = row.dimensions.filter((axis) => axis.of === "by").map((axis) => axis.name);
  const ways = [["", axes.length ? axes.map(title).join(" and ") : "nothing"],
    ...(axes.length > 1 ? axes.map((axis) => [axis, title(axis)]) : []), ...(axes.length ? [["total", "nothing: the sum"]] : [])];
  return h("section", { class: "panel", "aria-label": "Question" }, h("div", { class: "controls" },
    choice("Metric", "metric", names, row.metric, (value) => remember({ metric: value, by: null, where: null, ...fromTheFirst })),
    choice("By", "by", ways, state("by") ?? "", (value) => remember({ by: value || null, ...fromTheFirst })),
    choice("Values", "raw", [["0", "rounded to the noise"], ["1", "every cell as released"]], state("raw") ?? "0",
      (value) => remember({ raw: value === "1" ? "1" : null })),
    choice("Compare with", "compare", [["", "nothing"], ["previous", "the span before"]], state("compare") ?? "",
      (value) => remember({ compare: value || null })), picks(row, members),
    h("div", { class: "group", role: "group", "aria-label": "Show as" }, TABS.map(([id, text]) => h("button",
      { type: "button", id: `tab-${id}`, "aria-pressed": "false", onclick: () => remember({ tab: id === "chart" ? null : id }) }, text)))));
}

function cost(row, answer, metadata) {
  const facts = [["This question", h("strong", {}, "free: it is answered from stored releases")],
    ["Something new like it", h("span", { id: "more" }, "…")],
    ["Each node paid", `ρ = ${row.privacy.rho} for each ${row.window}, once`],
    ["Noise of one node", `σ = ${number(row.privacy.sigma)} on ${row.cells === 1 ? "its one cell" : `each of ${number(row.cells)} cells`} (${row.privacy.mechanism})`],
    ["A person may add", `${row.privacy.max_per_cell} in ${row.privacy.max_cells === 1 ? "one cell" : `each of ${number(row.privacy.max_cells)} cells`}, no more`],
    ["Made from", `${counted(metadata.releases, "release")}, ${counted(metadata.data_points, "released cell")}`],
    ["Counts from", source(row.source)]];
  return panel({ id: "cost", size: "third", heading: "What it costs",
    summary: "Privacy is spent when a node releases, never when you ask.",
    body: h("dl", { class: "facts" }, facts.map(([name, text]) => [h("dt", {}, name), h("dd", {}, text)])),
    of: { path: "/v1/metrics", json: () => row, cli: `murmur metrics show ${row.metric}` } });
}

/** What another metric of this kind would cost each node, before anybody proposes it. */
async function priceOfMore(row) {
  const { data } = await budget().catch(() => ({ data: null }));
  const place = find("#more");
  if (!place) return;
  const cap = data?.promised.find((one) => one.length === "day") ?? data?.promised[0];
  if (!cap) {
    place.textContent = "this node does not say";
    return;
  }
  const part = ratio(row.privacy.rho) / ratio(cap.rho);
  place.replaceChildren(h("strong", {}, `${shareText(part)} of each ${cap.length}'s cap`), ` of every node, for ± ${number(Math.round(1.96 * Number(row.privacy.sigma)))} a cell. `,
    h("a", { href: address("/budget", { like: row.metric }) }, "Plan by accuracy"));
}

const source = (from) => (from === "any" ? "every app" : [from.app, from.action].filter(Boolean).join(", "));

function result(answer, parameters, tab) {
  const views = {
    chart: () => chart(answer),
    table: () => answerTable(answer, { isBrief: true, tall: true, id: "explore-cells" }),
    line: () => [h("div", { id: "explore-line" }), h("p", {}, told(answer.series, differs)), seriesTable(answer.series, windowText, answer.level)],
    code: () => code("explore-code", snippets(answer, parameters)),
  };
  const summary = h("span", {}, `${apart(answer.question)} `, answer.total ? [estimate(answer.total), ` ${apart(answer.counts)}`] : "Nothing released",
    `, ${span(answer.windows)}, ${answer.reporting} nodes, ${percent(answer.level)} interval.`);
  return panel({ id: "result", size: "two-thirds", heading: title(answer.metric), summary, body: [clipping(answer) ? h("p", { class: "notice calm", id: "clipped" }, clipping(answer)) : null, views[tab]()], twin: tab === "chart" ? answerTable(answer) : null, answer, parameters, isOverTime: tab === "line" });
}

function chart(answer) {
  if (!answer.cells.length) {
    return h("p", { class: "empty" }, answer.total ? "Every group is below the threshold; the sum is shown above." : "Nothing released in this span.");
  }
  const axes = answer.dimensions.map((axis) => axis.name);
  if (axes.includes("bin") && axes.length > 1) return grouped(answer, axes.filter((axis) => axis !== "bin"));
  const ordered = axes.some((axis) => axis === "bin" || axis === "hour");
  return bars(answer.cells, { hidden: answer.hidden, ranked: !ordered, limit: 60 });
}

/** A histogram for each group, on scales of their own. */
function grouped(answer, axes) {
  const groups = Map.groupBy ? Map.groupBy(answer.cells, (cell) => groupOf(cell, axes)) : byHand(answer.cells, axes);
  return h("div", { class: "pair" }, [...groups].map(([name, cells]) => h("div", {}, h("h3", {}, h("bdi", {}, name)),
    bars(cells, { ranked: false, name: (cell) => label("bin", cell.key.bin) }))));
}

const groupOf = (cell, axes) => axes.map((axis) => label(axis, cell.key[axis])).join(" · ");

function byHand(cells, axes) {
  const groups = new Map();
  for (const cell of cells) groups.set(groupOf(cell, axes), [...(groups.get(groupOf(cell, axes)) ?? []), cell]);
  return groups;
}

function figures(answer, of) {
  const axes = [...new Set(answer.figures.flatMap((row) => Object.keys(row.key)))];
  const columns = [...axes.map((axis) => [title(axis), (row) => h("bdi", {}, label(axis, row.key[axis] ?? ""))]),
    ["Figure", (row) => h("bdi", {}, figureName(row.name))], ["Estimate", (row) => figureText(row), "number"],
    ["The noise cannot rule out", (row) => bounds(row), "number"]];
  return panel({ id: "figures", size: "half", heading: "Computed from it",
    summary: "Means, rates and quantiles, read from the released numbers; each with what the noise cannot rule out.",
    body: table("", columns, answer.figures, { tall: true, id: "figure-rows" }), of });
}

function bounds(row) {
  const text = (value) => (value === null || value === undefined ? "open" : row.kind === "rate" ? shareText(value) : number(value));
  return `${text(row.lower)} to ${text(row.upper)}`;
}

const VERDICTS = { real: ["good", "real"], could_be_noise: ["", "could be noise"] };

/** Each cell beside itself in the span before; a change counts only where the noise cannot make it. */
function compared(answer, of) {
  const { refused, cells, total, windows } = answer.compare;
  if (refused) return panel({ id: "compared", size: "half", heading: "The span before", body: h("p", { class: "empty" }, refused) });
  const axes = answer.dimensions.map((axis) => axis.name);
  const said = (row) => (row.verdict ? tag(...(VERDICTS[row.verdict] ?? ["", row.verdict])) : "other nodes then");
  const signed = (value) => `${Number(value) > 0 ? "+" : ""}${number(value)}`;
  const columns = [[unseen("Group"), (row) => h("bdi", {}, row.key ? axes.map((axis) => label(axis, row.key[axis])).join(" · ") || "All" : "All")],
    ["Before", (row) => number(row.before), "number"], ["Change", (row) => signed(row.difference), "number"],
    ["The noise cannot rule out", (row) => `${signed(row.lower)} to ${signed(row.upper)}`, "number"], [unseen("Verdict"), said]];
  return panel({ id: "compared", size: "half", heading: "Compared with the span before",
    summary: `Against the ${windows.length === 1 ? answer.windows.kind : counted(windows.length, answer.windows.kind)} before. “Real” is a change that noise alone makes in ${percent(1 - Number(answer.level))} of comparisons or fewer.`,
    body: table("", columns, [...(total ? [total] : []), ...cells.filter((row) => Object.keys(row.key ?? {}).length)], { tall: true, id: "compared-rows" }), of });
}

function members(answer, of, isHalf) {
  const why = (member) => member.without.map((gap) => `${reason(gap.reason)} (${counted(gap.windows.length, "window")})`).join(", ");
  return panel({ id: "members", size: isHalf ? "half" : "", heading: `${answer.reporting} nodes`, summary: "Whose numbers are in the sum, and whose are not.",
    body: table("", [["Node", (row) => h("bdi", { class: "long" }, row.name)], ["State", (row) => row.state],
      ["Windows", (row) => number(row.windows), "number"], ["People are", (row) => row.person_keys.map((kind) => `${kind}s`).join(", ") || "–"],
      ["Without", (row) => why(row) || "–"]], answer.members), of });
}

