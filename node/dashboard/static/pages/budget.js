// Budget: what is promised, what was charged, what that means for one person, and what another metric would cost.

import { budget as asksBudget, catalogue as asksCatalogue, insight } from "../api.js";
import { choice, find, h, svg, swap, tag, unseen } from "../dom.js";
import { apart, counted, exactly, number, percent, ratio, reason, title } from "../format.js";
import { panel, table } from "../panel.js";
import { address, remember, state } from "../state.js";

export const controls = [];
const Z95 = 1.959964;
const BUDGET = { path: "/v1/budget", cli: "murmur budget" };
const epsilonText = (text) => exactly(text, 2);

export function setup(main) {
  return async () => {
    const [{ data: budget }, metrics] = await Promise.all([asksBudget(), asksCatalogue()]);
    const caps = new Map(budget.promised.map((row) => [row.length, ratio(row.rho)]));
    swap(main, meters(budget, caps), risk(budget), forecast(budget, metrics, caps), planner(metrics, caps), ledger(metrics, caps),
      guarantees(budget), refusals(await declined(metrics)));
    return null;
  };
}

function meters(budget, caps) {
  const rows = budget.charged.map((row) => ({ ...row, part: ratio(row.rho) / caps.get(row.length) }));
  const body = rows.length ? rows.map((row) => h("div", {}, h("p", {}, h("bdi", { class: "long" }, row.name), ": ",
    h("strong", {}, percent(row.part)), ` of each ${row.length}'s cap (ρ ${row.rho} of ${fraction(caps.get(row.length))}), `,
    `${percent(Math.max(0, 1 - row.part))} left for new metrics`), meter(row.part)))
    : h("p", { class: "empty" }, "Nothing has been charged yet.");
  return panel({ id: "meters", size: "two-thirds", heading: "Spent of the cap", body,
    summary: "The fullest epoch of each node. A cap belongs to one epoch and comes back with the next: it cannot run out for good, "
      + "and a release that does not fit is refused and named as an abstention.",
    twin: table("", [["Node", (row) => h("bdi", {}, row.name)], ["Epoch", (row) => row.length], ["Epochs charged", (row) => number(row.epochs), "number"],
      ["Charged ρ", (row) => row.rho, "number"], ["Of the cap", (row) => percent(row.part), "number"]], rows), of: BUDGET });
}

/** While the catalogue stays, every coming epoch is charged like the fullest one so far. */
function forecast(budget, metrics, caps) {
  const cheapest = Math.min(...metrics.map((row) => ratio(row.privacy.rho)));
  const rows = budget.charged.map((row) => ({ ...row, part: ratio(row.rho) / caps.get(row.length),
    room: Math.floor((caps.get(row.length) - ratio(row.rho)) / cheapest + 1e-9) }));
  const full = rows.filter((row) => row.room < 1);
  return panel({ id: "forecast", size: "half", heading: "Forecast",
    summary: rows.length ? `While the catalogue stays as it is, every coming ${rows[0].length} is charged the same, and nothing runs out. `
      + (full.length ? `${full.map((row) => apart(row.name)).join(", ")} has no room for another metric: it would be refused there.` : "Every node has room for another metric.") : "Nothing has been charged yet.",
    body: rows.length ? table("", [["Node", (row) => h("bdi", { class: "long" }, row.name)], ["Each coming epoch", (row) => `${row.length}: ${percent(row.part)}`],
      ["Room for", (row) => (row.room < 1 ? tag("warn", "nothing new") : counted(row.room, "metric")), "number"]], rows) : null, of: BUDGET });
}

/** What was not released, and why, in the last month: read from the answers themselves. */
async function declined(metrics) {
  const answers = await Promise.all([...new Set(metrics.map((row) => row.metric))].map((metric) => insight(metric, { last: "30d" }).then((one) => one.data, () => null)));
  const found = new Map(); // by node and reason: the metrics
  for (const answer of answers.filter(Boolean)) {
    for (const member of answer.members) {
      for (const gap of member.without) {
        const place = `${member.name}\n${gap.reason}`;
        const row = found.get(place) ?? { name: member.name, reason: gap.reason, metrics: [] };
        row.metrics.push(`${title(answer.metric)} (${counted(gap.windows.length, answer.windows.kind)})`);
        found.set(place, row);
      }
    }
  }
  return [...found.values()];
}

const MEANS = { budget: "It would have passed the epoch's cap, so it was refused before any noise was drawn: nothing was spent, nothing was said.",
  not_in_plan: "Nothing of the kind is tracked there. Costs nothing.", plan_incompatible: "Its plan counts in other bands, and sums of different things would mislead.",
  window_not_in_one_epoch: "A person's bound holds inside one epoch, so a longer window cannot be released.", epoch_closed: "The keys of that time are destroyed: nobody can count it any more.",
  unit_too_weak: "Its app knows visits only where the metric asks for people.", paused: "The operator stopped releases for a while.",
  restored: "A restored node may not know what it released before, so it stays silent about that time.", no_release: "The release has not come, or has not arrived here." };

function refusals(rows) {
  rows.sort((a, b) => (b.reason === "budget") - (a.reason === "budget") || a.reason.localeCompare(b.reason) || a.name.localeCompare(b.name));
  const over = rows.filter((row) => row.reason === "budget").reduce((sum, row) => sum + row.metrics.length, 0);
  return panel({ id: "refusals", heading: "What was not released, and why",
    summary: over ? `${counted(over, "metric")} did not fit a cap somewhere in the last 30 days.` : "No release was refused for its cost in the last 30 days. Other silences are named here, too; none of them costs privacy.",
    body: rows.length ? table("", [[unseen("Verdict"), (row) => (row.reason === "budget" ? tag("warn", "refused") : tag("", "declined"))], ["Node", (row) => h("bdi", { class: "long" }, row.name)],
      ["Why", (row) => reason(row.reason)], ["What it means", (row) => h("span", { class: "long" }, MEANS[row.reason] ?? "")],
      ["Metrics", (row) => h("bdi", {}, row.metrics.join(", "))]], rows, { tall: rows.length > 12, id: "refusal-rows", stacks: true }) : h("p", { class: "empty" }, "Every node released everything it was asked for."),
    of: { path: "/v1/releases", json: () => rows, cli: "murmur sql \"SELECT name, metric, reason, count(*) FROM abstentions GROUP BY ALL\"" } });
}

const fraction = (value) => (Number.isInteger(1 / value) ? `1/${1 / value}` : number(value));

const meter = (part, kind = "spent") => svg("svg", { class: "meter", viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" },
  svg("rect", { class: "room", width: 100, height: 8 }), svg("rect", { class: kind, width: Math.min(100, 100 * part), height: 8 }));

/** With epsilon e, an attacker's fifty-fifty guess about one person becomes at best 1 / (1 + exp(-e)). */
const guess = (epsilon) => 100 / (1 + Math.exp(-epsilon));

function risk(budget) {
  const worst = Math.max(0, ...budget.charged.map((row) => Number(row.guarantees[0].epsilon)));
  const month = Math.max(0, ...budget.charged.map((row) => Number(row.guarantees.find((one) => one.days === 30)?.epsilon ?? 0)));
  const words = (epsilon) => (guess(epsilon) > 99 ? "over 99 in 100" : `${guess(epsilon).toFixed(0)} in 100`);
  return panel({ id: "risk", size: "third", heading: "What one person risks", body: worst ? [
    h("p", { class: "figure" }, words(worst)),
    h("p", {}, `is the best an attacker's fifty-fifty guess about one person on one day can become, knowing everything else (ε = ${worst.toFixed(2)}). `
      + "Whoever knows less learns less."),
    h("p", { class: "quiet" }, month > 3
      ? `For someone active on every one of 30 days it is ${words(month)} (ε = ${month.toFixed(1)}): days add up.`
      : `Over 30 days it is ${words(month)} (ε = ${month.toFixed(1)}).`)] : h("p", { class: "empty" }, "Nothing has been released: nobody risks anything."), of: BUDGET });
}

function guarantees(budget) {
  const days = budget.promised[0]?.guarantees.map((one) => one.days) ?? [];
  const rows = [...budget.charged.map((row) => ({ who: h("bdi", { class: "long" }, row.name), kind: "charged so far", ...row })),
    ...budget.promised.map((row) => ({ who: "every node", kind: "at most, by charter", ...row }))];
  return panel({ id: "guarantees", size: "half", heading: "Epsilon in plain spans",
    summary: `At δ = ${budget.delta}, for a person key active on every day of the span; exact accounting (zCDP).`,
    body: table("", [["Who", (row) => [row.who, h("br"), h("span", { class: "quiet small" }, `${row.kind}, ${row.length} epochs`)]],
      ...days.map((count, i) => [`ε in ${number(count)} day${count > 1 ? "s" : ""}`, (row) => epsilonText(row.guarantees[i].epsilon), "number"])], rows), of: BUDGET });
}

function ledger(metrics, caps) {
  const part = (row) => (caps.has(row.window) || caps.has("day") ? ratio(row.privacy.rho) / (caps.get("day") ?? caps.get(row.window)) : null);
  const columns = [["Metric", (row) => h("a", { href: address("/releases", { metric: row.metric }), title: "Every release that was charged" }, h("bdi", {}, title(row.metric)))], ["ρ a release", (row) => row.privacy.rho, "number"],
    ["Of a day's cap", (row) => (part(row) === null ? "–" : percent(part(row))), "number"],
    ["Window", (row) => row.window], ["Noise σ", (row) => number(row.privacy.sigma), "number"], ["Cells", (row) => number(row.cells), "number"]];
  return panel({ id: "ledger", size: "half", heading: "What each metric costs",
    summary: "Charged once for each window and node, before the noise is drawn. Asking again costs nothing. A metric leads to its releases.", body: table("", columns, metrics),
    of: { path: "/v1/metrics", parquet: "/v1/metrics.parquet", python: `from node.client import Client\n\nClient("${location.origin}").metrics().to_pandas()`, cli: "murmur metrics list" } });
}

// -- planning by accuracy ------------------------------------------------------------------------------------

function planner(metrics, caps) {
  const row = metrics.find((one) => one.metric === state("like")) ?? metrics[0];
  if (!row) return null;
  const now = Z95 * Number(row.privacy.sigma);
  const wanted = Math.max(1, Number(state("within") ?? Math.round(now)));
  const told = h("div", { id: "planned", "aria-live": "polite" });
  const tell = (within) => {
    const rho = ratio(row.privacy.rho) * (now / within) ** 2;
    const part = rho / (caps.get("day") ?? 1);
    told.replaceChildren(h("p", {}, `Now ± ${number(Math.round(now))} a cell at ρ = ${row.privacy.rho}. For ± ${number(within)} it takes ρ = ${rho.toPrecision(3)}, `,
      h("strong", {}, part > 1 ? `${number(Math.round(10 * part) / 10)} times the whole cap of a day: it would be refused` : `${percent(part)} of a day's cap`),
      `. A sum over four such nodes would be within ± ${number(Math.round(2 * within))}.`), meter(part, "planned"));
  };
  // Moved by ratio: from a quarter of today's interval to four times it.
  const slider = h("input", { id: "slide", type: "range", min: "-100", max: "100", step: "1", value: String(Math.round(100 * Math.log(wanted / now) / Math.log(4))),
    "aria-label": "More exact to the left, cheaper to the right", oninput: () => {
      const within = Math.max(1, Math.round(now * 4 ** (Number(slider.value) / 100)));
      find("#within").value = String(within);
      tell(within);
    }, onchange: () => remember({ within: find("#within").value }) });
  const field = h("input", { id: "within", type: "number", min: "1", step: "1", value: String(wanted), inputmode: "numeric",
    onchange: () => remember({ within: field.value || null }) });
  tell(wanted);
  return panel({ id: "planner", size: "half", heading: "Plan by accuracy", summary: "Say how exact one node's number must be; the cost follows. This only computes: nothing is released or spent.",
    body: [h("div", { class: "controls" }, choice("A metric like", "like", metrics.map((one) => [one.metric, title(one.metric)]), row.metric,
      (value) => remember({ like: value, within: null })), h("label", {}, `Within ± (${percent(0.95)})`, field)), slider, told] });
}
