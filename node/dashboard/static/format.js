// Numbers and names as a person reads them. A number never stands without its interval.

import { h } from "./dom.js";

const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 2 });
const short = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });
const wholePercent = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 0 });
const regions = new Intl.DisplayNames(undefined, { type: "region" });
const dayMonth = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", timeZone: "UTC" });
const withYear = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
const withDay = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short", timeZone: "UTC" });
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });

export const number = (value) => whole.format(Number(value));

const [GROUP, DECIMAL, MINUS] = ["group", "decimal", "minusSign"].map((kind) => whole.formatToParts(-1234567.8).find((part) => part.type === kind)?.value ?? kind);
const spaced = (text) => text.replaceAll(/\s+/g, " ");
const fixed = new Map(); // formats by how many digits follow the point

/** A number with so many digits after the point. */
export function exactly(value, digits) {
  if (!fixed.has(digits)) fixed.set(digits, new Intl.NumberFormat(undefined, { minimumFractionDigits: digits, maximumFractionDigits: digits }));
  return fixed.get(digits).format(Number(value));
}

/** The number that is written so in the reader's language; NaN where that is no way to write one. */
export function numberOf(text) {
  const digits = Math.min(20, text.split(DECIMAL)[1]?.length ?? 0);
  const value = Number(spaced(text).replaceAll(spaced(GROUP), "").replace(DECIMAL, ".").replace(MINUS, "-") || "none");
  return spaced(exactly(value, digits)) === spaced(text) ? value : Number.NaN;
}

export const compact = (value) => short.format(Number(value));
export const percent = (level) => wholePercent.format(Number(level));

/** A name inside a sentence: whatever direction it is written in, or asks for, ends with it. */
export const apart = (name) => `\u2068${name}\u2069`;

/** "1 window", "3 windows". */
export const counted = (value, noun, many = `${noun}s`) => `${number(value)} ${Number(value) === 1 ? noun : many}`;

/** A ratio as the API writes it, "1/400" or "3", as a number. */
export const ratio = (text) => text.split("/").map(Number).reduce((a, b) => a / b);

/** Half of the privacy interval: the ± of a line. */
export const half = (row) => (Number(row.upper) - Number(row.lower)) / 2;
export const plusMinus = (row) => `± ${number(half(row))}`;
export const between = (row) => `${number(row.lower)} to ${number(row.upper)}`;

/** A number as every page shows it: 3 920 ± 7, its interval in full beside it; below zero as 0 (0 to 5), dotted. */
export function estimate(row) {
  if (!row) return h("span", { class: "quiet" }, "nothing released");
  if (Number(row.estimate) < 0) {
    const told = `Noise can go below zero: the released value is ${number(row.estimate)}. Exports keep it.`;
    return h("span", { class: "num", title: told }, h("span", { class: "below-zero" }, "0"), " ",
      h("span", { class: "pm" }, `(0 to ${number(Math.max(0, row.upper))})`));
  }
  return h("span", { class: "num", title: `privacy interval ${between(row)}` }, number(row.estimate), " ",
    h("span", { class: "pm" }, plusMinus(row)));
}

export const wide = (row) => (row.wide
  ? h("span", { class: "tag warn", title: "The privacy interval is more than a quarter of the value" },
    h("span", { "aria-hidden": "true" }, "▲"), "wide")
  : null);

/** Places among rows whose intervals overlap are shared: "1", "2–4". */
export function ranks(rows) {
  const lowers = Float64Array.from(rows, (row) => Number(row.lower)).sort();
  const uppers = Float64Array.from(rows, (row) => Number(row.upper)).sort();
  return rows.map((row) => {
    const first = rows.length - countWhile(lowers, (lower) => lower <= Number(row.upper)) + 1;
    const last = rows.length - countWhile(uppers, (upper) => upper < Number(row.lower));
    return first === last ? `${first}` : `${first}–${last}`;
  });
}

/** How many of the sorted numbers, from the first on, fulfil it. */
function countWhile(sorted, holds) {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(sorted[middle])) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** True when two estimates differ by more than both noises together explain, at the level of their intervals. */
export const differs = (one, other) =>
  Math.abs(Number(one.estimate) - Number(other.estimate)) > Math.hypot(half(one), half(other));

/** "runway_months" -> "Runway months". */
export function title(name) {
  const words = String(name).replaceAll(/[_.-]+/g, " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

export function country(code) {
  if (code === "none") return "unknown";
  try {
    return /^[A-Z]{2}$/.test(code) ? regions.of(code) ?? code : code;
  } catch {
    return code;
  }
}

/** "[3, 6)" -> "3 to 6", "< 3" -> "below 3", ">= 60" -> "60 or more". */
function binText(text) {
  const inner = /^\[([^,]+), ([^)]+)\)$/.exec(text);
  if (inner) return `${inner[1]} to ${inner[2]}`;
  return text.replace(/^< (.+)$/, "below $1").replace(/^>= (.+)$/, "$1 or more");
}

/** A label of an axis: countries by name, bins and the rest as they are. */
export function label(axis, text) {
  if (axis === "country") return country(text);
  if (text === "none") return "not given";
  if (axis === "hour" && /^[0-9]{1,2}$/.test(text)) return `${text.padStart(2, "0")}:00`;
  return axis === "bin" ? binText(text) : text;
}

export const keyText = (key) => Object.entries(key).map(([axis, text]) => label(axis, text)).join(" · ") || "all";

/** "2026-11-01/P1D" -> Date of its first instant. */
export function begin(window) {
  const text = window.split("/")[0];
  return new Date(text.includes("T") ? `${text}:00Z` : `${text}T00:00Z`);
}

export const day = (window) => dayMonth.format(begin(window));
export const fullDay = (window) => withYear.format(begin(window));
export const weekday = (window) => withDay.format(begin(window));
export const instant = (text) => (text ? clock.format(new Date(text)) : "never");

export function windowText(window) {
  return window.endsWith("T1H") ? `${day(window)} ${window.slice(11, 13)}:00 UTC` : weekday(window);
}

export function span(windows) {
  if (!windows.count) return "nothing released yet";
  if (windows.count === 1) return fullDay(windows.first);
  return `${day(windows.first)} to ${fullDay(windows.last)} (${windows.count} ${windows.kind}s)`;
}

const NOTES = {
  people_per_cell: "a person is counted once in each of the few cells kept for it",
  people_per_window: "someone active in several windows counts once in each",
  people_per_platform: "someone active on several platforms counts on each",
  sampled: "some nodes count a sample only",
};
export const notes = (codes) => codes.map((code) => NOTES[code] ?? code.replaceAll("_", " "));

/** What the bounds on one person took off; it lies outside the privacy interval, which is of the noise alone. */
export const clipping = ({ clipped }) => (clipped ? `${number(Math.max(0, clipped.estimate))} ${plusMinus(clipped)} people did more than a bound lets through: totals are low by design, and the interval does not hold that.` : null);

const REASONS = {
  no_release: "no release yet",
  not_in_plan: "does not track this",
  plan_incompatible: "tracks it in other bands",
  window_not_in_one_epoch: "its epochs are shorter than the window",
  epoch_closed: "its data of that time is gone",
  unit_too_weak: "has no strong enough person key",
  budget: "privacy budget used up",
  paused: "paused by its operator",
  not_yet_counting: "not counting yet",
  restored: "restored from a backup",
  recovered: "taken back when its keys were recovered",
  suspended: "suspended by the federation",
  cut: "removed from the federation",
};
export const reason = (code) => REASONS[code] ?? code.replaceAll("_", " ");

const OPEN = {
  below_first_edge: (row) => `below ${row.upper ?? "the first edge"}`,
  above_last_edge: (row) => `from ${row.lower ?? "the last edge"} on`,
  too_noisy: () => "too noisy to say",
  unbounded: () => "too few to say",
  empty: () => "too few to say",
};
const QUANTILES = { p10: "lowest tenth below", p25: "lowest quarter below", p50: "median", p75: "highest quarter above", p90: "highest tenth above" };
const share = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 1 });

/** A figure made from an answer's cells: a mean, a rate, a quantile. */
export const figureName = (name) => QUANTILES[name] ?? name;
export function figureText(row) {
  if (row.status !== "ok") return OPEN[row.status]?.(row) ?? row.status.replaceAll("_", " ");
  return row.kind === "rate" ? share.format(Number(row.estimate)) : number(row.estimate);
}
export const shareText = (value) => share.format(Number(value));
