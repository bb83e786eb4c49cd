// Journeys: how far people get (funnels), where they go next (flows), who comes back (retention).

import { catalogue, insight } from "../api.js";
import { h, swap } from "../dom.js";
import { apart, begin, counted, day, estimate, figureText, keyText, label, number, plusMinus, shareText, span, title, weekday } from "../format.js";
import { bars, classes } from "../marks.js";
import { answerTable, panel, table } from "../panel.js";
import { asked } from "../state.js";

export const controls = ["span", "level"];
const DRAWN = { funnel, journey: flow, retention };

export function setup(main, frame) {
  return async () => {
    const metrics = await catalogue();
    const rows = metrics.filter((row) => row.measure in DRAWN);
    if (!rows.length) {
      swap(main, h("p", { class: "empty" }, "No metric of this federation follows people through steps, tools or weeks."));
      return null;
    }
    const answers = await Promise.all(rows.map(async (row) => (await insight(row.metric, asked(row.window))).data));
    frame.windows(answers[0].windows);
    const size = (i) => (answers.length % 2 && i === answers.length - 1 ? "" : "half");
    swap(main, answers.map((answer, i) => DRAWN[answer.measure](answer, asked(rows[i].window), size(i))));
    return rows.map((row) => row.newest).filter(Boolean).sort().at(-1);
  };
}

const nothing = (answer) => h("p", { class: "empty" }, answer.total ? "Every group is below the threshold." : "Nothing released in this span.");
const told = (answer, more) => `${apart(answer.question)} ${more} ${span(answer.windows)}, ${answer.reporting} nodes.`;

/** Reached steps as bars with whiskers, between them the rate and whether the drop is real. */
function funnel(answer, parameters, size) {
  const steps = answer.figures.filter((row) => row.name.startsWith("reached "));
  const rates = new Map(answer.figures.filter((row) => row.kind === "rate").map((row) => [row.name.replace(/^rate /, ""), row]));
  const name = (row) => row.name.replace(/^reached /, "");
  const rows = steps.map((row) => ({ ...row, key: { step: name(row) } }));
  const lines = rows.map((row, i) => {
    const rate = rates.get(name(row));
    if (!i || !rate) return null;
    const isReal = Number(rate.upper) < 1;
    return h("li", {}, h("bdi", {}, `${name(rows[i - 1])} → ${name(row)}`), ": ", h("strong", {}, figureText(rate)),
      ` (${shareText(rate.lower)} to ${shareText(rate.upper)}); `, isReal ? "the drop is real" : "the drop could be noise");
  });
  return panel({ id: `funnel-${answer.metric}`, size, heading: title(answer.metric), summary: told(answer, ""),
    body: rows.length ? [bars(rows, { ranked: false, name: (row) => row.key.step }), h("ul", { class: "plain" }, lines)] : nothing(answer),
    twin: answerTable(answer), answer, parameters });
}

/** From tool to tool: a matrix in five classes, a hatch for what is below the threshold. */
function flow(answer, parameters, size) {
  const [from, to] = answer.dimensions;
  const cells = new Map(answer.cells.map((cell) => [`${cell.key[from.name]}\n${cell.key[to.name]}`, cell]));
  const scale = classes(answer.cells.map((cell) => Number(cell.estimate)));
  const square = (a, b) => {
    const cell = cells.get(`${a}\n${b}`);
    return h("td", { class: cell ? `filled c${scale.of(Number(cell.estimate))}` : "filled cx" },
      cell ? h("span", { class: "chip" }, number(cell.estimate), " ", h("span", { class: "pm" }, plusMinus(cell)))
        : h("span", { class: "chip quiet" }, "below"));
  };
  const grid = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${title(answer.metric)}, from row to column` },
    h("table", { class: "flow" }, h("caption", {}, `From the row to the column; ${apart(answer.counts)}.`),
      h("thead", {}, h("tr", {}, h("th", {}, "from \\ to"), to.labels.map((b) => h("th", { scope: "col" }, label(to.name, b))))),
      h("tbody", {}, from.labels.map((a) => h("tr", {}, h("th", { scope: "row" }, label(from.name, a)), to.labels.map((b) => square(a, b)))))));
  const most = [...answer.cells].sort((a, b) => Number(b.estimate) - Number(a.estimate));
  return panel({ id: `flow-${answer.metric}`, size, heading: title(answer.metric),
    summary: told(answer, answer.hidden ? `${answer.hidden.cells} of ${from.labels.length * to.labels.length} ways are below the threshold.` : ""),
    body: answer.cells.length ? [grid, bars(most, { limit: 6, isLong: true, hidden: answer.hidden, name: (cell) => `${label(from.name, cell.key[from.name])} → ${label(to.name, cell.key[to.name])}` })] : nothing(answer),
    twin: answerTable(answer), answer, parameters });
}

/** Who comes back: a row a cohort, a column an age; the share of its first period that was active again. */
function retention(answer, parameters, size) {
  const groups = new Map();
  for (const row of answer.figures.filter((one) => one.kind === "rate")) {
    const name = keyText(row.key);
    groups.set(name, [...(groups.get(name) ?? []), row]);
  }
  return panel({ id: `retention-${answer.metric}`, size, heading: title(answer.metric), summary: told(answer, returned(answer)),
    body: groups.size ? [...groups].map(([name, rates]) => [groups.size > 1 ? h("h3", {}, h("bdi", {}, name)) : null, cohorts(answer, rates)]) : nothing(answer),
    twin: answerTable(answer), answer, parameters });
}

/** Of all cohorts that are large enough, how many of the first came back after one period. */
function returned(answer) {
  const one = answer.figures.find((row) => row.kind === "rate" && row.status === "ok" && /^cohort \d+ age 1$/.test(row.name));
  return one ? `${figureText(one)} (${shareText(one.lower)} to ${shareText(one.upper)}) of those who began ${period(answer) === "day" ? "on" : "in"} ${begunOn(answer, /\d+/.exec(one.name)[0])} came back one ${period(answer)} later.` : "";
}

const COHORTS = (answer) => answer.dimensions.find((axis) => axis.name === "cohort").labels.length;
const period = (answer) => (COHORTS(answer) >= 7 ? "day" : "week"); // specs/metrics.md 4.5: a week holds 7 days, a month 28 days or 4 weeks

/** What a cohort is called: its day or week in the one window on screen, else its number in each window. */
function begunOn(answer, cohort) {
  const length = period(answer) === "day" ? 1 : 7;
  if (answer.windows.count !== 1) return `${period(answer)} ${cohort} of each ${answer.windows.kind}`;
  const from = new Date(begin(answer.windows.first).getTime() + (Number(cohort) - 1) * length * 86_400_000).toISOString().slice(0, 10);
  return length === 1 ? weekday(from) : `the week from ${day(from)}`;
}

function cohorts(answer, rates) {
  const labels = (axis) => answer.dimensions.find((one) => one.name === axis).labels;
  const at = new Map(rates.map((row) => [row.name, row]));
  const key = rates[0].key;
  const begun = new Map(answer.cells.filter((cell) => cell.key.age === "0" && Object.entries(key).every(([axis, text]) => cell.key[axis] === text))
    .map((cell) => [cell.key.cohort, cell]));
  const ages = labels("age").slice(1);
  const last = labels("cohort").length;
  const square = (cohort, age) => {
    if (Number(cohort) + Number(age) > last) return h("td", { class: "quiet number" }, "–");
    const rate = at.get(`cohort ${cohort} age ${age}`);
    if (rate?.status !== "ok") return h("td", { class: "filled cx" }, h("span", { class: "chip quiet" }, rate ? figureText(rate) : "below"));
    const shade = Math.min(4, Math.floor(5 * Math.max(0, Number(rate.estimate))));
    return h("td", { class: `filled c${shade}` }, h("span", { class: "chip", title: `${shareText(rate.lower)} to ${shareText(rate.upper)}` }, figureText(rate), " ",
      h("span", { class: "pm" }, `± ${shareText((Number(rate.upper) - Number(rate.lower)) / 2)}`)));
  };
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${title(answer.metric)}, who came back` },
    h("table", { class: "flow" }, h("caption", {}, `Share of each cohort that was active again so many ${period(answer)}s after its first; – lies beyond the ${answer.windows.kind}.`),
      h("thead", {}, h("tr", {}, h("th", {}, "First active in"), h("th", { class: "number" }, "People"), ages.map((age) => h("th", { scope: "col" }, `${counted(age, period(answer))} later`)))),
      h("tbody", {}, labels("cohort").map((cohort) => h("tr", {}, h("th", { scope: "row" }, begunOn(answer, cohort)),
        h("td", { class: "number" }, begun.has(cohort) ? estimate(begun.get(cohort)) : "below"), ages.map((age) => square(cohort, age)))))));
}
