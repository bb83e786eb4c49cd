// A question as texts, read against the trusted charter: answers.md 2.
import { byCodeUnit } from "./canonical.mjs";
import { toHex } from "./bytes.mjs";
import { isInRow } from "./judgement.mjs";
import { Refused, demand, refuse } from "./refused.mjs";
import { parseHour, parseWindow } from "./windows.mjs";

const HOUR_S = 3_600;
const LENGTHS_S = { hour: HOUR_S, day: 24 * HOUR_S, week: 168 * HOUR_S };
const UNITS = { h: "hour", d: "day", w: "week" };
const SUFFIX = { hour: "PT1H", day: "P1D", week: "P1W", month: "P1M" };
const EPOCH_MONDAY_S = 4 * 24 * HOUR_S; // 1970-01-05
const MOST_WINDOWS = 1_000;
const NAMES = ["window", "from", "to", "last", "by", "level", "raw", "where", "nodes", "compare", "badges"];
const LEVELS = { 80: "0.80", 95: "0.95", 99: "0.99" };
const windowed = (holds, why) => demand(holds, why, "bad_window");
const asked = (holds, why) => demand(holds, why, "bad_parameter");

/** `rows`: catalogue rows of the metric with their `layout`; `newestReleased`: the newest counted window of a row, or null. */
export function readQuestion(metric, parameters, { tip, rows, newestReleased }) {
  demand(rows.length > 0, "no such metric", "unknown_metric");
  const given = Object.fromEntries(Object.entries(parameters).filter(([, text]) => text !== ""));
  for (const name of Object.keys(given)) asked(NAMES.includes(name), `no parameter ${name}`);
  const newest = [...rows].sort(byBeginning).at(-1);
  const kind = newest.layout.window;
  const span = spanOf(given, kind, newestReleased);
  const question = {
    metric,
    newest,
    kind,
    level: levelOf(given.level ?? "0.95"),
    isRaw: flag(given.raw),
    badges: flag(given.badges),
    by: axesKept(given.by, newest.layout.by),
    where: given.where === undefined ? null : readWhere(given.where, newest.layout),
    nodes: given.nodes === undefined ? null : readNodes(given.nodes, tip.members),
    isBack: span !== null && span.isBack,
    isCompared: given.compare !== undefined,
  };
  asked(given.compare === undefined || given.compare === "previous", "compare: previous alone");
  return { ...question, windows: span === null ? [] : governed(windowsIn(span, kind), rows, kind) };
}

/** A question whose windows are resolved, every one of which a row must hold (proofs.md 4.2). */
export function settled({ metric, windows, by, level, raw, where }, nodes, rows) {
  const newest = [...rows].sort(byBeginning).at(-1);
  const kind = newest.layout.window;
  demand(by.join() === axesKept(by.join() || "total", newest.layout.by).join(), "axes in their order");
  const spelled = where.map(([name, labels]) => `${name}:${labels.map(escaped).join()}`).join(";");
  const narrowed = where.length === 0 ? null : readWhere(spelled, newest.layout);
  const axes = newest.layout.by.map(({ name }) => name).filter((name) => narrowed?.has(name));
  demand(where.map(([name]) => name).join() === axes.join(), "dimensions in their order");
  const isInOrder = where.every(([name, labels]) => labels.join("\n") === narrowed.get(name).join("\n"));
  demand(isInOrder, "labels in their order");
  return {
    metric, newest, kind, level, isRaw: raw, badges: false, by, where: narrowed, nodes: nodes.length === 0 ? null : nodes,
    isBack: false, isCompared: false, windows: windows.length === 0 ? [] : governed(windows, rows, kind, false),
  };
}

const escaped = (label) => label.replace(/[,;\\]/g, "\\$&");

const byBeginning = (left, right) => byCodeUnit(left.from, right.from) || Buffer.compare(left.definition, right.definition);

function flag(text = "0") {
  asked(["0", "1"].includes(text), "0 or 1");
  return text === "1";
}

function levelOf(text) {
  const found = /^(?:0\.(8|80|95|99)|(80|95|99)%?)$/.exec(text);
  asked(found !== null, "level: 0.80, 0.95 or 0.99");
  return LEVELS[(found[1] ?? found[2]).padEnd(2, "0")];
}

// ---- windows --------------------------------------------------------------------------------------------------------

function spanOf({ window, from, to, last }, kind, newestReleased) {
  const isSpan = from !== undefined || to !== undefined;
  windowed([window !== undefined, isSpan, last !== undefined].filter(Boolean).length <= 1, "one of window, from with to, last");
  if (window !== undefined) return orWindow(() => parseWindow(window));
  if (isSpan) {
    windowed(from !== undefined && to !== undefined, "from and to go together");
    return { start: timeOf(from), end: timeOf(to) };
  }
  const found = /^([1-9][0-9]{0,3})([hdw]?)$/.exec(last ?? "30d");
  windowed(found !== null, "last: a number and h, d, w or nothing");
  if (newestReleased === null) return null;
  return { start: Math.max(0, countedBack(newestReleased, Number(found[1]), UNITS[found[2]] ?? kind)), end: newestReleased.end, isBack: true };
}

function countedBack({ end }, count, unit) {
  if (unit !== "month") return end - count * LENGTHS_S[unit];
  const day = new Date(end * 1_000);
  return Date.UTC(day.getUTCFullYear(), day.getUTCMonth() - count) / 1_000;
}

function timeOf(text) {
  return orWindow(() => parseHour(text.includes("T") ? text : `${text}T00`));
}

function orWindow(read) {
  try {
    return read();
  } catch (error) {
    if (error instanceof Refused) refuse("bad_window", error.message);
    throw error;
  }
}

/** All windows of a kind that lie wholly in the span, oldest first. */
function windowsIn({ start, end }, kind) {
  const windows = [];
  for (let at = firstFrom(start, kind); ;) {
    const window = windowAt(at, kind);
    if (window.end > end) break;
    windows.push(window);
    windowed(windows.length <= MOST_WINDOWS, "more than 1,000 windows");
    at = window.end;
  }
  windowed(windows.length > 0, "no window in the span");
  return windows;
}

function firstFrom(start, kind) {
  if (kind === "month") {
    const day = new Date(start * 1_000);
    const first = Date.UTC(day.getUTCFullYear(), day.getUTCMonth()) / 1_000;
    return first === start ? first : Date.UTC(day.getUTCFullYear(), day.getUTCMonth() + 1) / 1_000;
  }
  const [length, base] = [LENGTHS_S[kind], kind === "week" ? EPOCH_MONDAY_S : 0];
  return base + Math.ceil((start - base) / length) * length;
}

function windowAt(start, kind) {
  const text = new Date(start * 1_000).toISOString();
  return parseWindow(`${text.slice(0, kind === "hour" ? 13 : 10)}/${SUFFIX[kind]}`);
}

/** 2.2: each with the row that governs it; those that none holds are left out. */
function governed(windows, rows, kind, isLenient = true) {
  const own = rows.filter(({ layout }) => layout.window === kind);
  const found = windows.map((window) => ({ ...window, row: own.filter((row) => isInRow(row, window)).sort(byBeginning).at(-1) }));
  const held = found.filter(({ row }) => row !== undefined);
  windowed(held.length > 0 && (isLenient || held.length === found.length), "no row holds the window");
  const isAlike = held.every(({ row }, at) => at === 0 || row.layout.meaning === held[at - 1].row.layout.meaning);
  demand(isAlike, "the definition changed", "definition_changed");
  return held;
}

/** 6.7: as many before the first. */
export function windowsBefore({ windows, kind }, rows) {
  if (windows.length === 0) return [];
  const earlier = [];
  let { start } = windows[0];
  for (let left = windows.length; left > 0; left--) {
    const [year, month] = [new Date(start * 1_000).getUTCFullYear(), new Date(start * 1_000).getUTCMonth()];
    start = kind === "month" ? Date.UTC(year, month - 1) / 1_000 : start - LENGTHS_S[kind];
    windowed(start >= 0, "before 1970");
    earlier.unshift(windowAt(start, kind));
  }
  return governed(earlier, rows, kind, false);
}

/** 2.2: what an older definition counted must fit under the newest row's measure and axes. */
export function demandFitting(windows, { layout: newest }) {
  const fits = (holds, why) => demand(holds, why, "definition_changed");
  for (const { row: { layout } } of windows) {
    fits(JSON.stringify(layout.tree.measure) === JSON.stringify(newest.tree.measure), "another measure");
    for (const { name, labels } of layout.by) {
      const axis = newest.by.find((one) => one.name === name);
      const isAll = axis === undefined || labels === null || axis.labels === null || labels.every((label) => axis.labels.includes(label));
      fits(isAll, `a label of ${name} that is gone`);
    }
  }
}

// ---- axes, labels, members ------------------------------------------------------------------------------------------

function axesKept(text, axes) {
  if (text === undefined) return axes.map(({ name }) => name);
  if (text === "total") return [];
  const names = text.split(",");
  for (const name of names) demand(axes.some((axis) => axis.name === name), `no axis ${name}`, "unknown_dimension");
  asked(new Set(names).size === names.length, "an axis twice");
  return axes.map(({ name }) => name).filter((name) => names.includes(name));
}

/** `NAME:LABEL,LABEL;NAME:…` as a Map of axis to its labels, in their order. */
function readWhere(text, { by }) {
  const where = new Map();
  for (const part of splitAt(text, ";")) {
    const colon = part.indexOf(":");
    asked(colon >= 0, "where: NAME:LABEL");
    const name = part.slice(0, colon);
    const axis = by.find((one) => one.name === name);
    demand(axis !== undefined, `no axis ${name}`, "unknown_dimension");
    asked(!where.has(name), "one dimension twice");
    const labels = splitAt(part.slice(colon + 1), ",").map((label) => label.replace(/\\([,;\\])/g, "$1"));
    asked(labels.every((label) => label !== "") && new Set(labels).size === labels.length, "where: labels, each once");
    asked(axis.labels === null || labels.every((label) => axis.labels.includes(label)), "where: another label");
    const inOrder = axis.labels === null ? [...labels].sort(byBytes) : axis.labels.filter((label) => labels.includes(label));
    where.set(name, inOrder);
  }
  return where;
}

export const byBytes = (left, right) => Buffer.compare(Buffer.from(left), Buffer.from(right));

/** Parts between separators that no backslash stands before; backslashes stay. */
function splitAt(text, separator) {
  const parts = [""];
  for (let at = 0; at < text.length; at++) {
    if (text[at] === "\\" && at + 1 < text.length) parts[parts.length - 1] += text[at] + text[++at];
    else if (text[at] === separator) parts.push("");
    else parts[parts.length - 1] += text[at];
  }
  return parts;
}

/** Ids as hex, in the charter's order. */
function readNodes(text, members) {
  const chosen = text.split(",").map((one) => {
    const named = members.filter(({ name }) => name === one);
    const isId = /^[0-9a-f]{8,64}$/.test(one);
    const found = named.length > 0 ? named : members.filter(({ node }) => isId && toHex(node).startsWith(one));
    asked(found.length === 1, `no member ${one}`);
    return toHex(found[0].node);
  });
  return members.map(({ node }) => toHex(node)).filter((node) => chosen.includes(node));
}
