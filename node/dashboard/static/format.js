// Numbers and names as a person reads them. A number never stands without its interval.

const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 2 });
const countries = new Intl.DisplayNames(undefined, { type: "region" });

export const number = (value) => whole.format(Number(value));

/** Half of the privacy interval: the ± of a line. */
export const half = (row) => (Number(row.upper) - Number(row.lower)) / 2;

export const plusMinus = (row) => `± ${number(half(row))}`;

export const between = (row) => `${number(row.lower)} to ${number(row.upper)}`;

/** "runway_months" -> "Runway months". */
export function title(name) {
  const words = name.replaceAll(/[_.-]+/g, " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** A label of an axis: countries by name, bins and the rest as they are. */
export function label(axis, text) {
  if (text === "none") return axis === "country" ? "unknown" : "not given";
  if (axis === "country" && /^[A-Z]{2}$/.test(text)) return countries.of(text) ?? text;
  if (axis === "hour") return `${text.padStart(2, "0")}:00`;
  return text;
}

export const keyText = (key) => Object.entries(key).map(([axis, text]) => label(axis, text)).join(" · ") || "all";

/** "2026-11-01/P1D" -> "2026-11-01"; the kind stands beside it. */
export const start = (window) => window.split("/")[0];

export function span(windows) {
  if (!windows.count) return "nothing released yet";
  const first = start(windows.first);
  return windows.count === 1 ? first : `${first} to ${start(windows.last)} (${windows.count} ${windows.kind}s)`;
}

const NOTES = {
  people_per_cell: "a person is counted once in each of the few cells kept for it",
  people_per_window: "someone active in several windows counts once in each",
  people_per_platform: "someone active on several platforms counts on each",
  sampled: "some nodes count a sample only",
};

export const notes = (codes) => codes.map((code) => NOTES[code] ?? code);

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
  suspended: "suspended by the federation",
  cut: "removed from the federation",
};

export const reason = (code) => REASONS[code] ?? code.replaceAll("_", " ");
