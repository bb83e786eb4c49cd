// The Overview: tiles, top lists, one metric in full, the nodes, the privacy spent. All state is in the URL.

import { get, insight } from "./api.js";
import { bar, sparkline } from "./charts.js";
import { between, keyText, label, notes, number, plusMinus, reason, span, start, title } from "./format.js";

const TILES = 3;
const TOP = 6;
const find = (selector) => document.querySelector(selector);

/** An element; text children are text, never markup. */
function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

const state = () => new URLSearchParams(location.search);

function remember(changes) {
  const next = state();
  for (const [name, value] of Object.entries(changes)) value === null ? next.delete(name) : next.set(name, value);
  history.replaceState(null, "", `?${next}`);
}

const asked = () => ({ last: state().get("last") ?? "30d", level: state().get("level") ?? "0.95" });

// -- tiles ---------------------------------------------------------------------------------------------------

function nodesTile(federation, peers) {
  const up = peers.filter((peer) => peer.state === "ok" || peer.state === "self").length;
  return h("article", { class: "card" }, h("h3", {}, "Nodes"),
    h("p", { class: "figure" }, `${up} of ${federation.members.length}`),
    h("p", { class: "quiet" }, "heard of lately by this node"));
}

function numberTile(answer) {
  const { total } = answer;
  return h("article", { class: "card" },
    h("h3", {}, title(answer.metric)),
    total
      ? h("p", { class: "figure" }, number(total.estimate), " ", h("small", {}, `${plusMinus(total)} ${answer.counts}`))
      : h("p", { class: "figure" }, h("small", {}, "nothing released yet")),
    h("p", { class: "quiet" }, `${answer.question} ${answer.reporting} nodes.`),
    answer.series.length > 1 ? sparkline(answer.series) : null);
}

// -- top lists -----------------------------------------------------------------------------------------------

function topList(answer) {
  const ranked = [...answer.cells].sort((a, b) => Number(b.estimate) - Number(a.estimate)).slice(0, TOP);
  const most = Math.max(1, ...ranked.map((cell) => Number(cell.upper)));
  const rows = ranked.map((cell) => h("li", {},
    h("span", { class: "name", title: keyText(cell.key) }, keyText(cell.key)),
    bar(cell, most),
    h("span", { class: "value", title: `${between(cell)}, privacy interval` },
      `${number(cell.estimate)} ${plusMinus(cell)}`)));
  const rest = answer.hidden ? `, ${answer.hidden.cells} too small to show` : "";
  return h("article", { class: "card" }, h("h3", {}, title(answer.metric)),
    h("p", { class: "quiet" }, `${answer.counts}, ${span(answer.windows)}${rest}`),
    rows.length ? h("ul", { class: "bars" }, ...rows) : h("p", {}, "No cell is large enough to show."));
}

// -- one metric in full --------------------------------------------------------------------------------------

function cellTable(answer) {
  const axes = answer.dimensions.map((axis) => axis.name);
  const level = `${Math.round(100 * Number(answer.level))} % interval`;
  const head = h("tr", {}, ...axes.map((axis) => h("th", { scope: "col" }, title(axis))),
    ...["Estimate", level, "Sigma"].map((text) => h("th", { scope: "col", class: "number" }, text)),
    h("th", { scope: "col" }, ""));
  const numbers = (row) => [number(row.estimate), between(row), number(row.sigma)]
    .map((text) => h("td", { class: "number" }, h("span", {}, text)));
  const body = answer.cells.map((cell) => h("tr", {},
    ...axes.map((axis) => h("td", {}, label(axis, cell.key[axis]))), ...numbers(cell),
    h("td", {}, cell.wide ? h("span", { class: "tag" }, "wide") : "")));
  if (answer.hidden) {
    const text = `${answer.hidden.cells} below the threshold, together`;
    body.push(h("tr", { class: "hidden-row" }, ...axes.map((_, i) => h("td", {}, i ? "" : h("span", {}, text))),
      ...numbers(answer.hidden), h("td", {}, axes.length ? "" : text)));
  }
  if (answer.total && axes.length) {
    body.push(h("tr", {}, ...axes.map((_, i) => h("td", {}, i ? "" : h("strong", {}, "All"))),
      ...numbers(answer.total), h("td", {})));
  }
  const caption = [`${answer.question} ${answer.counts}, ${span(answer.windows)}, ${answer.reporting} nodes.`,
    ...notes(answer.notes).map((note) => `Note: ${note}.`)].join(" ");
  return h("div", { class: "scroll" },
    h("table", {}, h("caption", {}, caption), h("thead", {}, head), h("tbody", {}, ...body)));
}

const OPEN = {
  below_first_edge: (row) => `below ${row.upper ?? "the first edge"}`,
  above_last_edge: (row) => `from ${row.lower ?? "the last edge"} on`,
  too_noisy: () => "too noisy to say",
};

function medianTable(answer) {
  if (!answer.medians.length) return null;
  const rows = answer.medians.map((row) => h("tr", {}, h("td", {}, keyText(row.key)),
    h("td", { class: "number" }, row.status === "ok" ? number(row.estimate) : OPEN[row.status](row)),
    h("td", { class: "number" }, `${row.lower ?? "open"} to ${row.upper ?? "open"}`)));
  const head = ["Group", "Median", "The noise cannot rule out"];
  return h("div", { class: "scroll" }, h("table", {}, h("caption", {}, "Medians, read from the histogram."),
    h("thead", {}, h("tr", {}, ...head.map((text, i) => h("th", { scope: "col", class: i ? "number" : "" }, text)))),
    h("tbody", {}, ...rows)));
}

function fillChoice(metrics, chosen) {
  const names = [...new Set(metrics.map((row) => row.metric))];
  find("#choice [name=metric]").replaceChildren(...names.map((name) => {
    const option = h("option", { value: name }, title(name));
    option.selected = name === chosen.metric;
    return option;
  }));
  const axes = chosen.dimensions.map((axis) => axis.name).filter((name) => name !== "bin");
  const ways = [["", axes.length ? axes.map(title).join(" and ") : "nothing"],
    ...(axes.length > 1 ? axes.map((axis) => [axis, title(axis)]) : []), ...(axes.length ? [["total", "nothing"]] : [])];
  const by = state().get("by") ?? "";
  find("#choice [name=by]").replaceChildren(...ways.map(([value, text]) => {
    const option = h("option", { value }, text);
    option.selected = value === by;
    return option;
  }));
}

async function showDetail(metrics) {
  const wanted = state().get("metric");
  const chosen = metrics.find((row) => row.metric === wanted) ?? metrics[0];
  if (!chosen) return null;
  fillChoice(metrics, chosen);
  const by = state().get("by");
  const { data } = await insight(chosen.metric, { ...asked(), ...(by ? { by } : {}) });
  find("#table").replaceChildren(...[medianTable(data), cellTable(data)].filter(Boolean));
  return data;
}

// -- nodes and privacy ---------------------------------------------------------------------------------------

const STATES = {
  self: ["good", "this node"], ok: ["good", "in touch"], late: ["bad", "late"],
  unreachable: ["bad", "out of reach"], unknown: ["", "not tried yet"],
};

function nodeTable(federation, peers, answer) {
  const seen = new Map(peers.map((peer) => [peer.node, peer]));
  const part = new Map((answer?.members ?? []).map((member) => [member.node, member]));
  const rows = federation.members.map((member) => {
    const peer = seen.get(member.node) ?? { state: "unknown", last_heard: null };
    const [tone, words] = member.frozen ? ["bad", "frozen: signed two histories"] : STATES[peer.state];
    const mine = part.get(member.node);
    const why = mine?.without.map((gap) => `${reason(gap.reason)} (${gap.windows.length})`).join(", ");
    return h("tr", {}, h("td", {}, h("strong", {}, member.name), " ", h("code", {}, member.node.slice(0, 8))),
      h("td", {}, member.organisation), h("td", {}, h("span", { class: `tag ${tone}` }, words)),
      h("td", {}, peer.last_heard ? new Date(peer.last_heard).toLocaleString() : peer.state === "self" ? "" : "never"),
      h("td", { class: "number" }, member.position ? `${member.position.generation}.${member.position.seq}` : "none"),
      h("td", {}, mine ? `${mine.state}${why ? `: ${why}` : ""}` : "not expected"));
  });
  const head = ["Node", "Organisation", "State", "Last heard", "Log", "In the metric above"];
  return h("div", { class: "scroll" }, h("table", {},
    h("caption", {}, `Charter version ${federation.charter.version}, ${federation.threshold} of `
      + `${federation.organisations} organisations change it.`),
    h("thead", {}, h("tr", {}, ...head.map((text) => h("th", { scope: "col" }, text)))), h("tbody", {}, ...rows)));
}

function privacyTable(budget) {
  const cells = (row) => row.guarantees.map((one) => h("td", { class: "number" }, Number(one.epsilon).toFixed(1)));
  const rows = [
    ...budget.charged.map((row) => h("tr", {}, h("td", {}, row.name), h("td", {}, `charged, ${row.length} epochs`),
      ...cells(row))),
    ...budget.promised.map((row) => h("tr", {}, h("td", {}, "every node"),
      h("td", {}, `at most, ${row.length} epochs`), ...cells(row)))];
  const days = budget.promised[0]?.guarantees.map((one) => `ε in ${one.days} day${one.days > 1 ? "s" : ""}`) ?? [];
  return h("div", { class: "scroll" }, h("table", {},
    h("caption", {}, `How much one person key's presence can show, as epsilon at δ = ${budget.delta}. With epsilon 1, an `
      + "attacker's fifty-fifty guess about one person becomes at best 73 in 100; a person active on every day of "
      + "a span has that span's figure."),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Node"), h("th", { scope: "col" }, ""),
      ...days.map((text) => h("th", { scope: "col", class: "number" }, text)))), h("tbody", {}, ...rows)));
}

// -- all of it -----------------------------------------------------------------------------------------------

async function show() {
  const status = find("#status");
  try {
    const [federation, catalogue, budget] = await Promise.all(
      ["/v1/federation", "/v1/metrics", "/v1/budget"].map((path) => get(path)));
    const { metrics } = catalogue.data;
    find("#federation").textContent = federation.data.name;
    const names = [...new Set(metrics.filter((row) => row.measure !== "histogram").map((row) => row.metric))];
    const answers = (await Promise.all(names.map((name) => insight(name, asked())))).map((reply) => reply.data);
    find("#tiles").replaceChildren(nodesTile(federation.data, federation.metadata.peers),
      ...answers.slice(0, TILES).map(numberTile));
    find("#lists").replaceChildren(...answers.filter((one) => one.dimensions.length).map(topList));
    const detail = await showDetail(metrics);
    find("#nodes div").replaceChildren(nodeTable(federation.data, federation.metadata.peers, detail));
    find("#privacy div").replaceChildren(privacyTable(budget.data));
    const newest = metrics.map((row) => row.newest).filter(Boolean).sort().at(-1);
    status.className = "quiet";
    status.textContent = newest ? `Newest window: ${start(newest)} (UTC).` : "Nothing has been released yet.";
    find("#served").textContent = `Served by ${federation.metadata.served_by.name}; every node of the federation `
      + "gives the same numbers.";
  } catch (error) {
    status.className = "notice";
    status.textContent = error.message;
  }
}

function listen() {
  for (const [name, value] of state()) {
    const field = find(`#controls [name="${CSS.escape(name)}"]`);
    if (field && [...field.options].some((option) => option.value === value)) field.value = value;
  }
  find("#controls").addEventListener("change", (event) => {
    remember({ [event.target.name]: event.target.value });
    show();
  });
  find("#choice").addEventListener("change", (event) => {
    const { name, value } = event.target;
    remember(name === "metric" ? { metric: value, by: null } : { by: value || null });
    show();
  });
  for (const form of document.forms) form.addEventListener("submit", (event) => event.preventDefault());
}

listen();
show();
