// The mesh, live: who is heard of, whose log grew just now, and what this node thinks of each.

import { maybe } from "../api.js";
import { find, h, svg, swap, tag } from "../dom.js";
import { instant, number } from "../format.js";
import { panel, table } from "../panel.js";
import { peersOf } from "../peers.js";

export const controls = [];
const KEPT_LINES = 60;
const STATES = { self: ["good", "this node"], ok: ["good", "in touch"], late: ["warn", "late"], unreachable: ["bad", "out of reach"],
  unknown: ["", "not tried yet"] };
const KIND = { self: "ok", ok: "ok", late: "late", unreachable: "down", unknown: "unknown" };
const [WIDTH, HEIGHT] = [760, 420];

export function setup(main) {
  const lines = [];
  return async ({ reply, advanced }) => {
    if (!reply) return null;
    const { data, metadata } = reply;
    const peers = peersOf(reply);
    const more = new Map((((await maybe("/v1/peers"))?.data?.peers) ?? []).map((peer) => [peer.node, peer]));
    const rows = data.members.map((member) => ({ ...member, ...(more.get(member.node) ?? {}), ...(peers.get(member.node) ?? { state: "unknown", last_heard: null }),
      name: member.name }));
    for (const { node, from, to } of advanced) {
      const member = data.members.find((one) => one.node === node);
      lines.unshift({ at: new Date(), name: member.name, text: `said something new: entry ${place(to)}${from ? ` after ${place(from)}` : ""}` });
    }
    noteStates(rows, lines);
    lines.length = Math.min(lines.length, KEPT_LINES);
    swap(main, ring(rows, data, metadata.served_by.node), logPanel(lines), details(rows, data));
    pulse(rows, advanced, metadata.served_by.node);
    return null;
  };
}

const place = (position) => (position ? `${position.generation}.${position.seq}` : "none");
const states = new Map();

function noteStates(rows, lines) {
  for (const row of rows) {
    const before = states.get(row.node);
    if (before && before !== row.state) lines.unshift({ at: new Date(), name: row.name, text: `is ${STATES[row.state][1]} (was ${STATES[before][1]})` });
    states.set(row.node, row.state);
  }
}

const spots = (rows) => rows.map((row, i) => {
  const angle = (2 * Math.PI * i) / rows.length - Math.PI / 2;
  return [WIDTH / 2 + 265 * Math.cos(angle), HEIGHT / 2 - 12 + 140 * Math.sin(angle)];
});

function ring(rows, data, self) {
  const at = spots(rows);
  const me = rows.findIndex((row) => row.node === self);
  const edges = rows.flatMap((row, i) => rows.slice(i + 1).map((other, k) => {
    const j = i + 1 + k;
    const own = i === me || j === me;
    const state = KIND[(i === me ? other : row).state];
    return svg("line", { class: `edge ${own ? state : "far"}`, x1: at[i][0], y1: at[i][1], x2: at[j][0], y2: at[j][1] });
  }));
  const nodes = rows.map((row, i) => svg("g", { class: `node ${row.frozen ? "down" : KIND[row.state]}`, transform: `translate(${at[i][0]} ${at[i][1]})` },
    shape(row), svg("text", { class: "mark", y: 6 }, row.frozen ? "!" : row.node === self ? "me" : { ok: "✓", late: "…", down: "×", unknown: "?" }[KIND[row.state]]),
    svg("text", { y: 46 }, clipped(row.name)), svg("text", { class: "sub", y: 62 }, `${STATES[row.state][1]}, log ${place(row.position)}`)));
  const up = rows.filter((row) => ["ok", "self"].includes(row.state)).length;
  return panel({ id: "ring", size: "two-thirds", heading: `${up} of ${rows.length} nodes in touch`,
    summary: `Lines from this node are what it hears itself; dashed ones lie between others. A dot runs along a line when a log grew. `
      + `${data.threshold} of ${data.organisations} organisations change the charter.`,
    body: svg("svg", { class: "mesh", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, id: "mesh", role: "img",
      "aria-label": `Ring of ${rows.length} nodes, ${up} in touch; the table holds the same` }, edges, svg("g", { id: "pulses" }), nodes) });
}

const clipped = (name) => (name.length > 24 ? `${name.slice(0, 23)}…` : name);

function shape(row) {
  const kind = row.frozen ? "down" : KIND[row.state];
  if (kind === "late") return svg("path", { d: "M0-27 26 20-26 20Z" });
  if (kind === "down") return svg("rect", { x: -22, y: -22, width: 44, height: 44 });
  return svg("circle", { r: 25 });
}

/** A dot along each line whose far end said something; at once where motion is not wanted. */
function pulse(rows, advanced, self) {
  const place = find("#pulses");
  if (!place || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  const at = spots(rows);
  const me = rows.findIndex((row) => row.node === self);
  for (const { node } of advanced) {
    const from = rows.findIndex((row) => row.node === node);
    const ends = from === me ? rows.map((_, i) => i).filter((i) => i !== me) : [me];
    for (const to of ends) {
      const dot = svg("circle", { class: "pulse", r: 6, cx: at[from][0], cy: at[from][1] });
      place.append(dot);
      dot.animate([{ transform: "translate(0, 0)" }, { transform: `translate(${at[to][0] - at[from][0]}px, ${at[to][1] - at[from][1]}px)` }],
        { duration: 900, easing: "ease-in-out" }).finished.then(() => dot.remove(), () => dot.remove());
    }
  }
}

function logPanel(lines) {
  const body = lines.length
    ? h("ol", { class: "log", "aria-live": "polite", "aria-relevant": "additions", tabindex: "0", "aria-label": "What happened" }, lines.map((line) => h("li", {},
      h("time", {}, instant(line.at)), h("bdi", { class: "long" }, line.name), ` ${line.text}`)))
    : h("p", { class: "empty" }, "Quiet since this page was opened. A release, a new charter or a silent node appears here within a second.");
  return panel({ id: "log", size: "third", heading: "Since you opened this page", body });
}

function details(rows, data) {
  const has = (name) => rows.some((row) => row[name] !== undefined && row[name] !== null);
  const columns = [["Node", (row) => h("bdi", { class: "long" }, row.name)], ["Id", (row) => h("code", {}, row.node.slice(0, 12))],
    ["Organisation", (row) => h("bdi", { class: "long" }, row.organisation)],
    ["State", (row) => (row.frozen ? tag("bad", "quarantined: signed two histories") : tag(...STATES[row.state]))],
    ["Last heard", (row) => (row.state === "self" ? "" : instant(row.last_heard))], ["Log", (row) => place(row.position), "number"],
    ["Counts from", (row) => row.counts_from.replace("T", " ") + ":00"],
    ...(has("missing_here") ? [["Missing here", (row) => number(row.missing_here ?? 0), "number"]] : []),
    ...(has("skew_ms") ? [["Clock skew", (row) => (row.skew_ms === null || row.skew_ms === undefined ? "–" : `${number(row.skew_ms)} ms`), "number"]] : []),
    ...(has("key_age_s") ? [["Key's age", (row) => `${number(Math.floor((row.key_age_s ?? 0) / 86_400))} days`, "number"]] : [])];
  return panel({ id: "nodes", heading: "Members", summary: `Charter version ${data.charter.version}. Liveness is this node's own view and decides nothing.`,
    body: table("", columns, rows) });
}
