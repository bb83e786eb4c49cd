// Budget: what is promised, what was charged, what that means for one person, and what another metric would cost.

import { get } from "../api.js";
import { choice, h, svg, swap } from "../dom.js";
import { number, title } from "../format.js";
import { panel, table } from "../panel.js";
import { remember, state } from "../state.js";

export const controls = [];
const Z95 = 1.959964;
const ratio = (text) => text.split("/").map(Number).reduce((a, b) => a / b);
const share = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 0 });
const epsilonText = (text) => Number(text).toFixed(2);

export function setup(main) {
  return async () => {
    const [{ data: budget }, { data: catalogue }] = await Promise.all([get("/v1/budget"), get("/v1/metrics")]);
    const caps = new Map(budget.promised.map((row) => [row.length, ratio(row.rho)]));
    swap(main, meters(budget, caps), risk(budget), guarantees(budget), ledger(catalogue.metrics, caps), planner(catalogue.metrics, caps));
    return null;
  };
}

function meters(budget, caps) {
  const rows = budget.charged.map((row) => ({ ...row, part: ratio(row.rho) / caps.get(row.length) }));
  const body = rows.length ? rows.map((row) => h("div", {}, h("p", {}, h("bdi", { class: "long" }, row.name), ": ",
    h("strong", {}, share.format(row.part)), ` of each ${row.length}'s cap (ρ ${row.rho} of ${fraction(caps.get(row.length))}), `,
    `${share.format(1 - row.part)} left for new metrics`), meter(row.part)))
    : h("p", { class: "empty" }, "Nothing has been charged yet.");
  return panel({ id: "meters", size: "two-thirds", heading: "Spent of the cap", body,
    summary: "The fullest epoch of each node. A cap belongs to one epoch and comes back with the next: it cannot run out for good, "
      + "and a release that does not fit is refused and named as an abstention.",
    twin: table("", [["Node", (row) => h("bdi", {}, row.name)], ["Epoch", (row) => row.length], ["Epochs charged", (row) => number(row.epochs), "number"],
      ["Charged ρ", (row) => row.rho, "number"], ["Of the cap", (row) => share.format(row.part), "number"]], rows) });
}

const fraction = (value) => (Number.isInteger(1 / value) ? `1/${1 / value}` : number(value));

const meter = (part, kind = "spent") => svg("svg", { class: "meter", viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" },
  svg("rect", { class: "room", width: 100, height: 8 }), svg("rect", { class: kind, width: Math.min(100, 100 * part), height: 8 }));

/** With epsilon e, an attacker's fifty-fifty guess about one person becomes at best 1 / (1 + exp(-e)). */
const guess = (epsilon) => 100 / (1 + Math.exp(-epsilon));

function risk(budget) {
  const worst = Math.max(0, ...budget.charged.map((row) => Number(row.guarantees[0].epsilon)));
  const month = Math.max(0, ...budget.charged.map((row) => Number(row.guarantees.find((one) => one.days === 30)?.epsilon ?? 0)));
  const words = (epsilon) => `${guess(epsilon).toFixed(0)} in 100`;
  return panel({ id: "risk", size: "third", heading: "What one person risks", body: worst ? [
    h("p", { class: "figure" }, words(worst)),
    h("p", {}, `is the best an attacker's fifty-fifty guess about one person on one day can become, knowing everything else (ε = ${worst.toFixed(2)}). `
      + "Most learn far less."),
    h("p", { class: "quiet" }, month > 3
      ? `Someone active on every one of 30 days has ε = ${month.toFixed(1)}: days add up, which is why the caps are low.`
      : `Over 30 days it is ${words(month)} (ε = ${month.toFixed(1)}).`)] : h("p", { class: "empty" }, "Nothing has been released: nobody risks anything.") });
}

function guarantees(budget) {
  const days = budget.promised[0]?.guarantees.map((one) => one.days) ?? [];
  const rows = [...budget.charged.map((row) => ({ who: h("bdi", { class: "long" }, row.name), kind: "charged so far", ...row })),
    ...budget.promised.map((row) => ({ who: "every node, by charter", kind: "at most", ...row }))];
  return panel({ id: "guarantees", size: "half", heading: "Epsilon in plain spans",
    summary: `At δ = ${budget.delta}, for a person key active on every day of the span; exact accounting (zCDP).`,
    body: table("", [["Who", (row) => row.who], ["", (row) => `${row.kind}, ${row.length} epochs`],
      ...days.map((count, i) => [`ε in ${number(count)} day${count > 1 ? "s" : ""}`, (row) => epsilonText(row.guarantees[i].epsilon), "number"])], rows) });
}

function ledger(metrics, caps) {
  const part = (row) => (caps.has(row.window) || caps.has("day") ? ratio(row.privacy.rho) / (caps.get("day") ?? caps.get(row.window)) : null);
  const columns = [["Metric", (row) => h("bdi", {}, title(row.metric))], ["ρ a release", (row) => row.privacy.rho, "number"],
    ["Of a day's cap", (row) => (part(row) === null ? "–" : share.format(part(row))), "number"],
    ["Window", (row) => row.window], ["Noise σ", (row) => number(row.privacy.sigma), "number"], ["Cells", (row) => number(row.cells), "number"]];
  return panel({ id: "ledger", size: "half", heading: "What each metric costs",
    summary: "Charged once for each window and node, before the noise is drawn. Asking again costs nothing.", body: table("", columns, metrics) });
}

// -- planning by accuracy ------------------------------------------------------------------------------------

function planner(metrics, caps) {
  const row = metrics.find((one) => one.metric === state("like")) ?? metrics[0];
  if (!row) return null;
  const now = Z95 * Number(row.privacy.sigma);
  const wanted = Math.max(1, Number(state("within") ?? Math.round(now)));
  const rho = ratio(row.privacy.rho) * (now / wanted) ** 2;
  const part = rho / (caps.get("day") ?? 1);
  const field = h("input", { id: "within", type: "number", min: "1", step: "1", value: String(wanted), inputmode: "numeric",
    onchange: (event) => remember({ within: event.target.value || null }) });
  return panel({ id: "planner", heading: "Plan by accuracy", summary: "Say how exact one node's number must be; the cost follows. This only computes: nothing is released or spent.",
    body: [h("div", { class: "controls" }, choice("A metric like", "like", metrics.map((one) => [one.metric, title(one.metric)]), row.metric,
      (value) => remember({ like: value, within: null })), h("label", {}, "Within ± (95 %)", field)),
    h("p", {}, `Now ± ${number(Math.round(now))} a cell at ρ = ${row.privacy.rho}. For ± ${number(wanted)} it takes ρ = ${rho.toPrecision(3)}, `,
      h("strong", {}, part > 1 ? `${number(Math.round(10 * part) / 10)} times the whole cap of a day: it would be refused` : `${share.format(part)} of a day's cap`),
      `. A sum over four such nodes would be within ± ${number(Math.round(2 * wanted))}.`), meter(part, "planned")] });
}
