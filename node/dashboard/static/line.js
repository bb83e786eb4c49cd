// The main line: estimates over windows, the band of their privacy intervals, and the period before as a dashed line.

import { h } from "./dom.js";
import { begin, between, compact, estimate, number, windowText } from "./format.js";
import { uplot } from "./vendor.js";

const HEIGHT_REM = 16.25;
const MARK_REM = 4.5; // room that a day's name needs

/** Fills `host` with the chart. `previous` is a series of the same length or null. */
export async function drawLine(host, { series, previous, name }) {
  if (series.length < 2) { // a line needs two points; the sentence above has the one number
    host.replaceChildren(h("p", { class: "empty" }, series.length ? ["One window so far: ", estimate(series[0])] : "Nothing released in this span."));
    return;
  }
  const uPlot = await uplot();
  const rem = Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
  const height = Math.round(HEIGHT_REM * rem);
  const style = getComputedStyle(document.documentElement);
  const token = (one) => style.getPropertyValue(one).trim();
  const ink = (one) => () => token(one); // read anew at each drawing: paper is light
  const readout = h("p", { class: "readout", "aria-live": "polite" }, "Point at the line, or focus it and use the arrow keys.");
  const place = h("div", { class: "line", tabindex: "0", role: "img", id: `line-${name}`,
    "aria-label": `Line of ${series.length} windows with privacy intervals; the table below holds the same numbers.` });
  host.replaceChildren(place, readout);
  const tell = (i) => {
    if (i === null || i === undefined || !series[i]) return;
    const parts = [h("strong", {}, windowText(series[i].window)), ": ", estimate(series[i]), ` (${between(series[i])})`];
    if (previous?.[i]) parts.push(`; before, ${windowText(previous[i].window)}: `, estimate(previous[i]));
    readout.replaceChildren(...parts);
  };
  const grid = { stroke: ink("--line"), width: 1 };
  const axis = { stroke: ink("--quiet"), font: `${0.78 * rem}px ${token("--font")}`, ticks: grid };
  const hidden = { stroke: "transparent", points: { show: false } };
  const chart = new uPlot({
    width: Math.max(place.clientWidth, 200), height, legend: { show: false },
    cursor: { drag: { x: false, y: false }, points: { size: 9 } },
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
    scales: { y: { range: (_, low, high) => [Math.min(0, low), Math.max(1, high) * 1.06] } },
    axes: [
      { ...axis, grid: { show: false }, splits: (self) => someOf(self.data[0], self.width / (MARK_REM * rem)), values: (_, marks) => marks.map((at) => dayMark(at)), size: 2.6 * rem },
      { ...axis, grid, size: 3.4 * rem, values: (_, marks) => marks.map(compact) },
    ],
    bands: [{ series: [1, 2], fill: ink("--band") }],
    series: [{}, hidden, hidden,
      { stroke: ink("--mark-2"), width: 1.75, dash: [7, 5], points: { show: false } },
      { stroke: ink("--mark"), width: 2.25, points: { show: series.length < 60, size: 7, fill: ink("--panel"), width: 2 } }],
    hooks: { setCursor: [(self) => tell(self.cursor.idx)] },
  }, columns(series, previous), place);
  place.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    const at = Math.min(series.length - 1, Math.max(0, (chart.cursor.idx ?? (step > 0 ? -1 : series.length)) + step));
    chart.setCursor({ left: chart.valToPos(chart.data[0][at], "x"), top: height / 3 });
    tell(at);
  });
  const paper = new AbortController();
  for (const when of ["beforeprint", "afterprint"]) {
    addEventListener(when, () => (place.isConnected ? chart.redraw(false, true) : paper.abort()), { signal: paper.signal });
  }
  const resize = new ResizeObserver(() => {
    if (!place.isConnected) resize.disconnect();
    else if (place.clientWidth && place.clientWidth !== chart.width) chart.setSize({ width: place.clientWidth, height });
  });
  resize.observe(place);
}

/** Every so many, so that at most `most` are left: marks stand where windows begin, and nowhere else. */
const someOf = (starts, most) => starts.filter((_, i) => i % Math.ceil(starts.length / most) === 0);

/** In the order of uPlot's series: time, upper, lower, before, estimate. What comes later is drawn above. */
function columns(series, previous) {
  const field = (name) => series.map((one) => Number(one[name]));
  return [series.map((one) => begin(one.window) / 1000), field("upper"), field("lower"),
    series.map((_, i) => (previous?.[i] ? Number(previous[i].estimate) : null)), field("estimate")];
}

const marks = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", timeZone: "UTC" });
const hours = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", timeZone: "UTC" });
const dayMark = (seconds) => (seconds % 86_400 ? hours : marks).format(new Date(1000 * seconds));

/** The summary of a line in one sentence; says "rose" only when it is more than the noise. */
export function told(series, differs) {
  if (series.length < 2) return series.length ? `One window: ${number(series[0].estimate)}.` : "Nothing released yet.";
  const [first, last] = [series[0], series.at(-1)];
  if (!differs(first, last)) return `From ${windowText(first.window)} to ${windowText(last.window)} it changed by no more than the noise.`;
  const way = Number(last.estimate) > Number(first.estimate) ? "rose" : "fell";
  return `It ${way} from ${number(first.estimate)} on ${windowText(first.window)} to ${number(last.estimate)} on `
    + `${windowText(last.window)}, more than the noise.`;
}
