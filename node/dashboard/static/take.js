// Taking a panel's numbers along: files, code in four tongues, a link that holds the state, a citation.
// What is on screen is what is taken: same question, same span, same level, same rounding.

import { key } from "./access.js";
import { withKey } from "./api.js";
import { h } from "./dom.js";
import { begin, span, title } from "./format.js";
import { parseWhere } from "./narrow.js";
import { address } from "./state.js";
import { numbersOf, rowsOf } from "./table.js";

let tongue = "Python"; // the one chosen last, for every panel

/** The row under a panel that shows an answer of the API: its cells, or its windows where it is shown over time. */
export function answerTools(id, answer, parameters, isOverTime = false) {
  const path = insightPath(answer.metric, parameters);
  return row(id, title(answer.metric), [
    h("button", { type: "button", onclick: () => save(`${answer.metric}.csv`, isOverTime ? seriesCsv(answer) : csv(answer), "text/csv") }, "CSV"),
    file("JSON", path, `${answer.metric}.json`),
    isOverTime ? h("button", { type: "button", onclick: () => saveSeries(answer, path) }, "Parquet") : file("Parquet", path.replace(/(\?|$)/, ".parquet$1"), `${answer.metric}.parquet`),
    h("a", { href: address("/explore", { metric: answer.metric, ...narrowings(parameters) }) }, "Explore"), link(id),
    fold(`${id}-code`, "Code", code(`${id}-code`, snippets(answer, parameters))), fold(`${id}-cite`, "Cite", copyable(citation(answer)))]);
}

/**
 * The row under a panel that shows another document of the API: its rows as they read, where it has any, and the document,
 * or what `json` gives. `isPlain` says that the document stands in no envelope.
 */
export function pathTools(id, heading, { path, parquet = null, python = null, cli = null, json = null, isPlain = false }, hasRows) {
  const name = path.split("?")[0].split("/").filter(Boolean).slice(path.startsWith("/v1/") ? 1 : 0).join("-").replace(/\.json$/, "") || "murmur";
  const texts = [["Python", python ?? reading(path, isPlain)], ["curl", curl(path)], ...(cli ? [["CLI", cli]] : [])];
  return row(id, heading, [
    hasRows ? h("button", { type: "button", onclick: () => save(`${id}.csv`, tableCsv(document.getElementById(id)), "text/csv") }, "CSV") : null,
    json ? h("button", { type: "button", onclick: () => save(`${id}.json`, JSON.stringify(json(), null, 1), "application/json") }, "JSON") : file("JSON", path, `${name}.json`),
    parquet ? file("Parquet", parquet, `${name}.parquet`) : hasRows ? h("button", { type: "button", onclick: () => saveRows(id, path) }, "Parquet") : null, link(id),
    fold(`${id}-code`, "Code", code(`${id}-code`, texts)),
    fold(`${id}-cite`, "Cite", copyable(`${heading}. Read from ${location.origin}${path} on ${new Date().toISOString().slice(0, 10)}.`))]);
}

const row = (id, heading, items) => h("div", { class: "tools", "aria-label": `Take along: ${heading}`, role: "group" }, items);

export const insightPath = (metric, parameters) => {
  const query = new URLSearchParams(parameters).toString();
  return `/v1/insights/${encodeURIComponent(metric)}${query ? `?${query}` : ""}`;
};

const narrowings = ({ by = null, where = null, nodes = null, raw = null }) => ({ by, where, nodes, raw });

/** A link to a file; where a key is needed the page fetches it itself, as a link carries none. */
export function file(text, path, name, kind = null) {
  return h("a", { href: path, class: kind, download: name, onclick: async (event) => {
    if (!key()) return;
    event.preventDefault();
    const reply = await fetch(path, { headers: withKey({}) });
    if (reply.ok) save(name, await reply.blob(), reply.headers.get("Content-Type") ?? "");
    else event.target.after(h("span", { role: "status", class: "bad" }, ` refused: ${(await reply.json()).title}`));
  } }, text);
}

/** This page as it is, with its panel; pressed, the address is copied. */
function link(id) {
  const said = h("span", { role: "status" });
  const here = () => `${location.origin}${location.pathname}${location.search}#${id}`;
  return h("span", {}, h("a", { href: `${location.pathname}${location.search}#${id}`, "data-here": id, onclick: async (event) => {
    event.preventDefault();
    history.replaceState(null, "", `#${id}`);
    said.textContent = await copied(here()) ? " copied" : " in the address bar";
  } }, "Link"), said);
}

const fold = (id, name, inside) => h("details", { id }, h("summary", {}, name), inside);

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false; // no secure context, or not allowed: the text stands there to be marked
  }
}

function copyable(text) {
  const button = h("button", { type: "button", class: "copy", onclick: async () => { button.textContent = await copied(text) ? "Copied" : "Mark it and copy"; } }, "Copy");
  return h("div", { class: "copyable" }, h("pre", { tabindex: "0" }, text), button);
}

// -- code --------------------------------------------------------------------------------------------------

/** Tabs, one tongue each; arrow keys move between them. */
export function code(id, texts) {
  const chosen = texts.some(([name]) => name === tongue) ? tongue : texts[0][0];
  const panes = texts.map(([name, text]) => h("div", { role: "tabpanel", id: `${id}-${name}`, "aria-labelledby": `${id}-tab-${name}`, hidden: name !== chosen }, copyable(text)));
  const tabs = texts.map(([name]) => h("button", { type: "button", role: "tab", id: `${id}-tab-${name}`, "aria-controls": `${id}-${name}`,
    "aria-selected": String(name === chosen), tabindex: name === chosen ? "0" : "-1", onclick: () => choose(name) }, name));
  const choose = (name) => {
    tongue = name;
    texts.forEach(([one], i) => {
      panes[i].hidden = one !== name;
      tabs[i].setAttribute("aria-selected", String(one === name));
      tabs[i].setAttribute("tabindex", one === name ? "0" : "-1");
      if (one === name) tabs[i].focus();
    });
  };
  const list = h("div", { role: "tablist", class: "group", "aria-label": "Language", onkeydown: (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    const now = tabs.indexOf(document.activeElement);
    choose(texts[(now + step + texts.length) % texts.length][0]);
  } }, tabs);
  return h("div", { class: "code" }, list, panes);
}

const quoted = (text) => `'${String(text).replaceAll("'", "'\\''")}'`; // for a shell
const secret = () => `${key().slice(0, 3)}…`; // its kind only: what is copied gets shared
const curl = (path) => (key() ? `curl -H 'Authorization: Bearer ${secret()}' ${quoted(location.origin + path)}` : `curl ${quoted(location.origin + path)}`);

function reading(path, isPlain) {
  const [url, data] = [JSON.stringify(location.origin + path), `json.load(reply)${isPlain ? "" : '["data"]'}`];
  const request = key() ? `request = urllib.request.Request(${url}, headers={"Authorization": "Bearer ${secret()}"})\nwith urllib.request.urlopen(request)` : `with urllib.request.urlopen(${url})`;
  return `import json, urllib.request\n\n${request} as reply:\n    data = ${data}`;
}

/** The same question in four tongues. */
export function snippets(answer, parameters) {
  const { metric } = answer;
  const flags = Object.entries(parameters).map(([name, value]) => {
    if (name === "level") return ` --level ${Math.round(100 * Number(value))}`;
    return name === "raw" ? " --raw" : ` --${name} ${/^[\w.:,-]+$/.test(value) ? value : quoted(value)}`;
  }).join("");
  return [["Python", python(metric, parameters)], ["curl", curl(insightPath(metric, parameters))],
    ["CLI", `murmur query ${metric}${flags.replace(/ --compare \S+/, "")}`], ["SQL", `murmur sql ${quoted(sql(answer, parameters))}`]];
}

function python(metric, parameters) {
  const literal = (value) => JSON.stringify(value);
  const told = Object.entries(parameters).map(([name, value]) => {
    if (name === "where") return `where={${[...parseWhere(value)].map(([axis, labels]) => `${literal(axis)}: ${literal(labels)}`).join(", ")}}`;
    if (name === "nodes") return `nodes=${literal(value.split(","))}`;
    return name === "raw" ? "raw=True" : `${name === "from" ? "from_" : name}=${literal(value)}`;
  });
  const token = key() ? `, token="${secret()}"` : "";
  return `from node.client import Client\n\nclient = Client("${location.origin}"${token})\nanswer = client.query(${[literal(metric), ...told].join(", ")})\nanswer.to_pandas()`;
}

/** The sums behind the answer, unrounded: released cells of the span, added up. */
function sql({ metric, windows, dimensions }, { where, nodes }) {
  const text = (value) => `'${String(value).replaceAll("'", "''")}'`;
  const start = (window) => `TIMESTAMP '${begin(window).toISOString().slice(0, 19).replace("T", " ")}'`;
  const axes = dimensions.map((axis) => `key[${text(axis.name)}] AS "${axis.name}"`);
  const limits = [`metric = ${text(metric)}`, ...(windows.count ? [`starts BETWEEN ${start(windows.first)} AND ${start(windows.last)}`] : []),
    ...[...parseWhere(where)].map(([axis, labels]) => `key[${text(axis)}] IN (${labels.map(text).join(", ")})`),
    ...(nodes ? [`(node IN (${nodes.split(",").map(text).join(", ")}) OR name IN (${nodes.split(",").map(text).join(", ")}))`] : [])];
  return `SELECT ${[...axes, "sum(value) AS estimate", "sqrt(sum(sigma * sigma)) AS sigma"].join(", ")}\nFROM released_cells\nWHERE ${limits.join("\n  AND ")}`
    + `${axes.length ? "\nGROUP BY ALL" : ""}\nORDER BY estimate DESC`;
}

export function citation(answer) {
  return `${title(answer.metric)}: ${answer.question} ${span(answer.windows)}, ${answer.reporting} nodes, `
    + `charter ${answer.charter.version} (${answer.charter.hash.slice(0, 16)}…). Differentially private estimates; answer `
    + `${answer.identity}. Read from ${location.origin}`;
}

// -- files -------------------------------------------------------------------------------------------------

/** What is on screen, and nothing else: shown cells, the hidden row, the sum. */
export function csv(answer) {
  const axes = answer.dimensions.map((axis) => axis.name);
  const line = (kind, one) => [kind, ...axes.map((axis) => one.key?.[axis] ?? ""), one.estimate, one.lower, one.upper, one.sigma,
    answer.level, answer.reporting].map(field).join(",");
  return [["row", ...axes, "estimate", "lower", "upper", "sigma", "level", "nodes"].join(","),
    ...answer.cells.map((cell) => line("shown", cell)), ...(answer.hidden ? [line("hidden", answer.hidden)] : []),
    ...(answer.total ? [line("total", answer.total)] : []), ""].join("\r\n");
}

const OVER_TIME = ["window", "estimate", "lower", "upper", "sigma"];
const seriesCsv = ({ series }) => [OVER_TIME.join(","), ...series.map((one) => OVER_TIME.map((name) => field(one[name])).join(",")), ""].join("\r\n");

/** A row a window; numbers as the answer has them. */
async function saveSeries({ metric, series }, path) {
  const columns = OVER_TIME.map((name) => ({ name, values: series.map((one) => (name === "window" ? one.window : Number(one[name]))) }));
  await saveParquet(metric, columns, series.length, path);
}

async function saveParquet(name, columns, count, path) {
  const { parquet } = await import("./parquet.js");
  save(`${name}.parquet`, parquet(columns, count, { source: location.origin + path }), "application/vnd.apache.parquet");
}

/** The rows of a panel, cell by cell as they read. */
function tableCsv(place) {
  const { names, rows } = rowsOf(place);
  return [...[names, ...rows].map((cells) => cells.map(field).join(",")), ""].join("\r\n");
}

/** The same rows; a column of numbers as numbers, as exact as they stand on screen. */
async function saveRows(id, path) {
  const { names, numeric, rows } = rowsOf(document.getElementById(id));
  const columns = names.map((name, i) => {
    const texts = rows.map((cells) => cells[i]);
    return { name, values: (numeric[i] ? numbersOf(texts) : null) ?? texts };
  });
  await saveParquet(id, columns, rows.length, path);
}

function field(value) {
  const text = String(value ?? "");
  const safe = /^[=+@\t\r]|^-(?![0-9.])/.test(text) ? `'${text}` : text; // a spreadsheet must not take it for a formula
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export function save(name, content, type) {
  const anchor = h("a", { href: URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type })), download: name });
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(anchor.href), 1000);
}
