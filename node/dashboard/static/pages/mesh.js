// The mesh, live: who is heard of, whose log grew just now, and what this node thinks of each.

import { maybe } from "../api.js";
import { find, h, svg, swap, tag } from "../dom.js";
import { counted, fullDay, instant } from "../format.js";
import { panel, table } from "../panel.js";
import { peersOf, skewText } from "../peers.js";

export const controls = [];
const KEPT_LINES = 60;
const OLD_KEY_DAYS = 365;
const DAY_MS = 86_400_000;
const STATES = { self: ["good", "this node"], ok: ["good", "in touch"], late: ["warn", "late"], unreachable: ["bad", "out of reach"],
  unknown: ["", "not tried yet"] };
const KIND = { self: "ok", ok: "ok", late: "late", unreachable: "down", unknown: "unknown" };
const WIDE = { width: 760, height: 420, rx: 265, ry: 140, letters: 24 };
const NARROW = { width: 380, height: 440, rx: 125, ry: 150, letters: 16 }; // text keeps its size on a phone
const size = () => (matchMedia("(max-width: 40rem)").matches ? NARROW : WIDE);

const AGAIN_MS = 5_000; // lag, skew and bytes are read again at most so often

let drawn = null; // what is on screen: rows and this node, for the pulses between two drawings
let readAt = 0;

export function setup(main) {
  const lines = [];
  return async ({ reply, advanced }) => {
    if (!reply) return null;
    const { data, metadata } = reply;
    const rows = await rowsOf(reply);
    for (const { node, from, to } of advanced) {
      const member = data.members.find((one) => one.node === node);
      lines.unshift({ at: new Date(), name: member.name, text: `said something new: entry ${place(to)}${from ? ` after ${place(from)}` : ""}` });
    }
    noteStates(rows, lines);
    lines.length = Math.min(lines.length, KEPT_LINES);
    drawn = { rows, self: metadata.served_by.node };
    swap(main, ring(rows, data, drawn.self), logPanel(lines), details(rows, data));
    pulse(advanced.map((one) => one.node), "pulse");
    return null;
  };
}

/** Members with what this node sees of them, and since when their signing keys are in force. */
async function rowsOf(reply) {
  readAt = Date.now();
  const peers = peersOf(reply);
  const [seen, keys] = (await Promise.all([maybe("/v1/peers"), maybe("/v1/keys")])).map((one) => one?.data);
  const byNode = (rows) => new Map((rows ?? []).map((row) => [row.node, row]));
  const [more, signing] = [byNode(seen?.peers), byNode(keys?.keys)];
  return reply.data.members.map((member) => ({ ...member, ...more.get(member.node), ...(peers.get(member.node) ?? { state: "unknown", last_heard: null }),
    since: signing.get(member.node)?.since ?? null, name: member.name }));
}

/** A signed message of these peers came: a dot runs along each of their lines; lag and skew are read again now and then. */
export async function heard(nodes, reply) {
  if (!drawn) return;
  pulse(nodes, "pulse small");
  if (Date.now() - readAt < AGAIN_MS) return;
  const rows = await rowsOf(reply);
  const old = find("#nodes");
  if (old && !old.contains(document.activeElement) && !old.querySelector("details[open]")) old.replaceWith(details(rows, reply.data));
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

function spots(rows) {
  const { width, height, rx, ry } = size();
  return rows.map((_, i) => {
    const angle = (2 * Math.PI * i) / rows.length - Math.PI / 2;
    return [width / 2 + rx * Math.cos(angle), height / 2 + 4 + ry * Math.sin(angle)];
  });
}

function ring(rows, data, self) {
  const { width, height, letters } = size();
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
    svg("text", { y: at[i][1] < height / 3 ? -52 : 46 }, clipped(row.name, letters)), svg("text", { class: "sub", y: at[i][1] < height / 3 ? -36 : 62 }, `${STATES[row.state][1]}, log ${place(row.position)}`)));
  const up = rows.filter((row) => ["ok", "self"].includes(row.state)).length;
  return panel({ id: "ring", size: "two-thirds", heading: `${up} of ${rows.length} nodes in touch`,
    summary: `Lines from this node are what it hears itself; dashed ones lie between others. A large dot runs along a line when a log grew, a small one for any other signed message; none is made up. `
      + `${data.threshold} of ${data.organisations} organisations change the charter.`,
    body: svg("svg", { class: "mesh", viewBox: `0 0 ${width} ${height}`, id: "mesh", role: "img",
      "aria-label": `Ring of ${rows.length} nodes, ${up} in touch; the table holds the same` }, edges, svg("g", { id: "pulses" }), nodes), of: { path: "/v1/federation", cli: "murmur federation show" } });
}

const clipped = (name, letters) => (name.length > letters ? `${name.slice(0, letters - 1)}…` : name);

function shape(row) {
  const kind = row.frozen ? "down" : KIND[row.state];
  if (kind === "late") return svg("path", { d: "M0-27 26 20-26 20Z" });
  if (kind === "down") return svg("rect", { x: -22, y: -22, width: 44, height: 44 });
  return svg("circle", { r: 25 });
}

/** A dot along each line by which a message of these nodes came here (or left, if they are this node); none where motion is not wanted. */
function pulse(nodes, kind) {
  const place = find("#pulses");
  if (!place || !drawn || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  const { rows, self } = drawn;
  const at = spots(rows);
  const me = rows.findIndex((row) => row.node === self);
  for (const node of nodes) {
    const from = rows.findIndex((row) => row.node === node);
    if (from < 0) continue;
    const ends = from === me ? rows.map((_, i) => i).filter((i) => i !== me) : [me];
    for (const to of ends) {
      const dot = svg("circle", { class: kind, r: kind === "pulse" ? 6 : 3.5, cx: at[from][0], cy: at[from][1] });
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

function lagText(row) {
  if (row.state === "self" || row.last_heard === null) return "–";
  if (row.in_step) return tag("good", "in step");
  if (!row.missing_here && !row.missing_there) return tag("", "comparing");
  return tag("warn", [row.missing_here ? `${counted(row.missing_here, "entry", "entries")} to come` : "", row.missing_there ? `${counted(row.missing_there, "entry", "entries")} to tell` : ""].filter(Boolean).join(", "));
}

function ageText(row) {
  if (!row.since) return "–";
  const days = Math.max(0, (Date.now() - Date.parse(row.since)) / DAY_MS);
  const words = days < 1 ? "today" : counted(Math.floor(days), "day");
  return h("span", { title: `in force since ${row.since}, by the node's own clock` }, days > OLD_KEY_DAYS ? tag("warn", words) : words);
}

function details(rows, data) {
  const columns = [["Node", (row) => h("bdi", { class: "long" }, row.name)], ["Id", (row) => h("code", {}, row.node.slice(0, 12))],
    ["Organisation", (row) => h("bdi", { class: "long" }, row.organisation)],
    ["State", (row) => (row.frozen ? tag("bad", "quarantined: signed two histories") : tag(...STATES[row.state]))],
    ["Last heard", (row) => (row.state === "self" ? "–" : instant(row.last_heard))], ["Lag", lagText], ["Clock", skewText, "number"], ["Key's age", ageText, "number"],
    ["Log", (row) => place(row.position), "number"], ["Counts from", (row) => fullDay(row.counts_from)]];
  return panel({ id: "nodes", heading: "Members", summary: `Charter version ${data.charter.version}. Liveness, lag and clocks are this node's own view and decide nothing; `
    + "a node that signed two histories is quarantined by everybody until its keys are recovered.",
    body: table("", columns, rows), of: { path: "/v1/peers", cli: "murmur peers" } });
}
