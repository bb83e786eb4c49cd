// A panel: a heading, one sentence, a drawing, the same numbers as a table, and ways to take them along.

import { h } from "./dom.js";
import { between, clipping, label, notes, number, percent, span, title, wide } from "./format.js";
import { answerTools, pathTools } from "./take.js";

const MOST_ROWS = 500; // more would keep a person waiting; the exports have them all

/** The frame of all panels. `twin` is a table; `answer`, or the document `of` the API, adds the ways to take it along. */
export function panel({ id, heading, summary, body = [], twin = null, answer = null, parameters = {}, of = null, size = "", level = "h2" }) {
  return h("section", { class: `panel ${size}`, id, "aria-labelledby": `${id}-title` },
    h("header", {}, h(level, { id: `${id}-title` }, heading), summary ? h("p", { class: "summary" }, summary) : null),
    body,
    twin ? h("details", { id: `${id}-table` }, h("summary", {}, "The same as a table"), twin) : null,
    answer ? answerTools(id, answer, parameters) : of ? pathTools(id, typeof heading === "string" ? heading : title(id), of) : null);
}

/** A table. Columns are [heading, cell(row), "number"?]; cells are text or elements. */
export function table(caption, columns, all, { tall = false, id = null, rowClass = () => null, left = 0 } = {}) {
  const rows = left || all.length <= MOST_ROWS ? all : all.slice(0, MOST_ROWS);
  const rest = left + all.length - rows.length;
  const kind = (column) => (column[2] === "number" ? "number" : null);
  return h("div", { class: tall ? "scroll tall" : "scroll", id, tabindex: "0", role: "region", "aria-label": caption || "Table" },
    h("table", {}, caption ? h("caption", {}, caption) : null,
      h("thead", {}, h("tr", {}, columns.map((column) => h("th", { scope: "col", class: kind(column) }, column[0])))),
      h("tbody", {}, rows.map((row) => h("tr", { class: rowClass(row) },
        columns.map((column) => h("td", { class: kind(column) }, column[1](row)))))),
      rest ? h("tfoot", {}, h("tr", {}, h("td", { colspan: columns.length }, `${number(rest)} more rows are in the exports.`))) : null));
}

/** Every number of an answer: shown cells, the hidden row, the sum. */
export function answerTable(answer, extra = {}) {
  const axes = answer.dimensions.map((axis) => axis.name);
  const first = answer.cells.slice(0, MOST_ROWS); // the hidden row and the sum stand under them, however many are left out
  const rows = [...first.map((cell) => ({ ...cell, kind: "cell" })),
    ...(answer.hidden ? [{ ...answer.hidden, kind: "hidden" }] : []),
    ...(answer.total && (axes.length || !answer.cells.length) ? [{ ...answer.total, kind: "total" }] : [])];
  const named = (row, axis, i) => {
    if (row.kind === "cell") return h("bdi", {}, label(axis, row.key[axis]));
    if (i > 0) return "";
    return row.kind === "hidden" ? `${row.cells} below threshold, together` : h("strong", {}, "All");
  };
  const columns = [...axes.map((axis, i) => [title(axis), (row) => named(row, axis, i)]),
    ["Estimate", (row) => number(row.estimate), "number"],
    [`${percent(answer.level)} privacy interval`, between, "number"],
    ["Sigma", (row) => number(row.sigma), "number"], ["", (row) => wide(row) ?? ""]];
  const caption = [`${answer.question} ${answer.counts}, ${span(answer.windows)}, ${answer.reporting} nodes.`,
    ...notes(answer.notes).map((note) => `Note: ${note}.`), clipping(answer)].filter(Boolean).join(" ");
  return table(caption, columns, rows, { rowClass: (row) => (row.kind === "hidden" ? "suppressed" : null), left: answer.cells.length - first.length, ...extra });
}

export function seriesTable(series, windowText, level) {
  return table("", [["Window", (row) => windowText(row.window)], ["Estimate", (row) => number(row.estimate), "number"],
    [`${percent(level)} privacy interval`, between, "number"], ["", (row) => wide(row) ?? ""]], series, { tall: true });
}
