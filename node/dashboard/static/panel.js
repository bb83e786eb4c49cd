// A panel: a heading, one sentence, a drawing, the same numbers as a table, and ways to take them along.

import { h } from "./dom.js";
import { address } from "./state.js";
import { between, label, notes, number, percent, span, title, wide } from "./format.js";

const MOST_ROWS = 500; // more would keep a person waiting; the exports have them all

/** The frame of all panels. `twin` is a table; `answer` adds the ways to take it along. */
export function panel({ id, heading, summary, body = [], twin = null, answer = null, parameters = {}, size = "", level = "h2" }) {
  return h("section", { class: `panel ${size}`, id, "aria-labelledby": `${id}-title` },
    h("header", {}, h(level, { id: `${id}-title` }, heading), summary ? h("p", { class: "summary" }, summary) : null),
    body,
    twin ? h("details", { id: `${id}-table` }, h("summary", {}, "The same as a table"), twin) : null,
    answer ? tools(id, answer, parameters) : null);
}

/** A table. Columns are [heading, cell(row), "number"?]; cells are text or elements. */
export function table(caption, columns, all, { tall = false, id = null, rowClass = () => null } = {}) {
  const rows = all.length > MOST_ROWS ? all.slice(0, MOST_ROWS) : all;
  const rest = all.length - rows.length;
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
  const rows = [...answer.cells.map((cell) => ({ ...cell, kind: "cell" })),
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
    ...notes(answer.notes).map((note) => `Note: ${note}.`)].join(" ");
  return table(caption, columns, rows, { rowClass: (row) => (row.kind === "hidden" ? "suppressed" : null), ...extra });
}

export function seriesTable(series, windowText, level) {
  return table("", [["Window", (row) => windowText(row.window)], ["Estimate", (row) => number(row.estimate), "number"],
    [`${percent(level)} privacy interval`, between, "number"], ["", (row) => wide(row) ?? ""]], series, { tall: true });
}

// -- taking it along -----------------------------------------------------------------------------------------

function tools(id, answer, parameters) {
  const query = new URLSearchParams(parameters).toString();
  const path = `/v1/insights/${encodeURIComponent(answer.metric)}${query ? `?${query}` : ""}`;
  const code = snippets(answer.metric, path, parameters);
  return h("div", { class: "tools", "aria-label": `Take along: ${title(answer.metric)}`, role: "group" },
    h("button", { type: "button", onclick: () => save(`${answer.metric}.csv`, csv(answer), "text/csv") }, "CSV"),
    h("a", { href: path }, "JSON"),
    h("a", { href: path.replace(/(\?|$)/, ".parquet$1"), download: `${answer.metric}.parquet` }, "Parquet"),
    h("a", { href: address("/explore", { metric: answer.metric, by: parameters.by ?? null }) }, "Explore"),
    h("details", { id: `${id}-code` }, h("summary", {}, "Code"), ...code),
    h("details", { id: `${id}-cite` }, h("summary", {}, "Cite"), h("pre", {}, citation(answer))));
}

export function snippets(metric, path, parameters) {
  const words = Object.entries(parameters).map(([name, value]) => ` --${name} ${value}`).join("");
  const named = Object.entries(parameters).map(([name, value]) => `, ${JSON.stringify(name)}: ${JSON.stringify(value)}`).join("").slice(2);
  const statement = `SELECT * FROM insights WHERE metric = '${metric.replaceAll("'", "''")}' ORDER BY starts DESC LIMIT 100`;
  return [["curl", `curl '${location.origin}${path}'`], ["Command line", `murmur query ${metric}${words}`],
    ["Python", `from node.client import Client\n\nclient = Client("${location.origin}")\nanswer = client.query("${metric}", **{${named}})`],
    ["SQL", `murmur sql "${statement}"`]]
    .map(([name, text]) => h("figure", {}, h("figcaption", { class: "quiet" }, name), h("pre", { tabindex: "0" }, text)));
}

function citation(answer) {
  return `${title(answer.metric)}: ${answer.question} ${span(answer.windows)}, ${answer.reporting} nodes, `
    + `charter ${answer.charter.version} (${answer.charter.hash.slice(0, 16)}…). Differentially private estimates; answer `
    + `${answer.identity}. Read from ${location.origin}`;
}

/** What is on screen, and nothing else: shown cells, the hidden row, the sum. */
export function csv(answer) {
  const axes = answer.dimensions.map((axis) => axis.name);
  const quoted = (value) => {
    const text = String(value ?? "");
    const safe = /^[=+@\t\r]|^-(?![0-9.])/.test(text) ? `'${text}` : text; // a spreadsheet must not take it for a formula
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  const line = (kind, row) => [kind, ...axes.map((axis) => row.key?.[axis] ?? ""), row.estimate, row.lower, row.upper, row.sigma,
    answer.level, answer.reporting].map(quoted).join(",");
  return [["row", ...axes, "estimate", "lower", "upper", "sigma", "level", "nodes"].join(","),
    ...answer.cells.map((cell) => line("shown", cell)), ...(answer.hidden ? [line("hidden", answer.hidden)] : []),
    ...(answer.total ? [line("total", answer.total)] : []), ""].join("\r\n");
}

export function save(name, text, type) {
  const link = h("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
