// Windows, hours and epochs as text: mesh.md 1.7. Times are Unix seconds.
import { demand } from "./refused.mjs";

const HOUR_S = 3600;
const DAY_S = 24 * HOUR_S;
const WINDOW = /^(\d{4})-(\d\d)-(\d\d)(?:T(\d\d))?\/(PT1H|P1D|P1W|P1M)$/;
const HOUR = /^(\d{4})-(\d\d)-(\d\d)T(\d\d)$/;
const LENGTHS = { PT1H: "hour", P1D: "day", P1W: "week", P1M: "month" };

/** {length, start, end}, half-open. */
export function parseWindow(text, field = "window") {
  const found = typeof text === "string" ? WINDOW.exec(text) : null;
  demand(found !== null, `${field}: no window`);
  const length = LENGTHS[found[5]];
  demand((found[4] !== undefined) === (length === "hour"), `${field}: an hour exactly where it is an hour's window`);
  const start = instant(found.slice(1, 5), field);
  const day = new Date(start * 1000);
  demand(length !== "week" || day.getUTCDay() === 1, `${field}: a week that starts on no Monday`);
  demand(length !== "month" || day.getUTCDate() === 1, `${field}: a month that starts on no first`);
  return { text, length, start, end: start + lengthOf(length, day) };
}

function lengthOf(length, day) {
  if (length === "hour") return HOUR_S;
  if (length === "day") return DAY_S;
  if (length === "week") return 7 * DAY_S;
  return (Date.UTC(day.getUTCFullYear(), day.getUTCMonth() + 1) - day.getTime()) / 1000;
}

/** An hour alone, as Unix seconds. */
export function parseHour(text, field = "hour") {
  const found = typeof text === "string" ? HOUR.exec(text) : null;
  demand(found !== null, `${field}: no hour`);
  return instant(found.slice(1, 5), field);
}

function instant([year, month, day, hour = "00"], field) {
  demand(year >= "1970" && year <= "2999" && hour < "24", `${field}: out of range`);
  const time = Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour));
  const isReal = new Date(time).toISOString().startsWith(`${year}-${month}-${day}T${hour}`);
  demand(isReal, `${field}: no such day`);
  return time / 1000;
}

export function isEpoch(window) {
  return window.length !== "hour";
}

export const windowText = (value, field) => parseWindow(value, field).text;

export function epochText(value, field) {
  demand(isEpoch(parseWindow(value, field)), `${field}: an hour is no epoch`);
  return value;
}

export function hourText(value, field) {
  parseHour(value, field);
  return value;
}
