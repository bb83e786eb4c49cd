// A panel: a heading, one sentence, a drawing, the same numbers as a table, and ways to take them along.

import { h, unseen } from "./dom.js";
import { apart, between, clipping, label, notes, number, percent, span, title, wide } from "./format.js";
import { hasRows, table } from "./table.js";
import { answerTools, pathTools } from "./take.js";

export { table };

/** The frame of all panels. `twin` is a table; `answer`, or the document `of` the API, adds the ways to take it along. */
export function panel({ id, heading, summary, body = [], twin = null, answer = null, parameters = {}, isOverTime = false, of = null, size = "", level = "h2" }) {
  const made = h("section", { class: `panel ${size}`, id, "aria-labelledby": `${id}-title` },
    h("header", {}, h(level, { id: `${id}-title` }, heading), summary ? h("p", { class: "summary" }, summary) : null),
    body,
    twin ? h("details", { id: `${id}-table` }, h("summary", {}, "The same as a table"), twin) : null);
  if (answer) made.append(answerTools(id, answer, parameters, isOverTime));
  else if (of) made.append(pathTools(id, typeof heading === "string" ? heading : title(id), of, hasRows(made)));
  return made;
}

/** Every number of an answer: shown cells, and under each page of them the hidden row and the sum. Brief where the question stands above. */
export function answerTable(answer, { isBrief = false, ...extra } = {}) {
  const axes = answer.dimensions.map((axis) => axis.name);
  const under = [...(answer.hidden ? [{ ...answer.hidden, kind: "hidden" }] : []),
    ...(answer.total && (axes.length || !answer.cells.length) ? [{ ...answer.total, kind: "total" }] : [])];
  const named = (row, axis, i) => {
    if (!row.kind) return h("bdi", {}, label(axis, row.key[axis]));
    if (i > 0) return "";
    return row.kind === "hidden" ? `${row.cells} below threshold, together` : h("strong", {}, "All");
  };
  const columns = [...axes.map((axis, i) => [title(axis), (row) => named(row, axis, i)]),
    ["Estimate", (row) => number(row.estimate), "number"],
    [`${percent(answer.level)} privacy interval`, between, "number"],
    ["Sigma", (row) => number(row.sigma), "number"], [unseen("Precision"), (row) => wide(row) ?? ""]];
  const caption = [isBrief ? "" : `${apart(answer.question)} ${apart(answer.counts)}, ${span(answer.windows)}, ${answer.reporting} nodes.`,
    ...notes(answer.notes).map((note) => `Note: ${note}.`), clipping(answer)].filter(Boolean).join(" ");
  return table(caption, columns, answer.cells, { rowClass: (row) => (row.kind === "hidden" ? "suppressed" : null), under, ...extra });
}

export function seriesTable(series, windowText, level) {
  return table("", [["Window", (row) => windowText(row.window)], ["Estimate", (row) => number(row.estimate), "number"],
    [`${percent(level)} privacy interval`, between, "number"], [unseen("Precision"), (row) => wide(row) ?? ""]], series, { tall: true });
}
