// Badges of an answer: who drives it, who changed, who is too exact. They exclude nobody, and say so.

import { h } from "./dom.js";
import { apart, fullDay, number, percent } from "./format.js";
import { panel, table } from "./panel.js";
import { insightPath } from "./take.js";

const SHAPES = { driven_by_one: "◆", change_point: "↷", too_exact: "≡" };
const NAMES = { driven_by_one: "drives the total", change_point: "level changed", too_exact: "too exact" };

/** The badges of one node, each a shape and words. */
export const badgesOf = (found, node) => found.alarms.filter((alarm) => alarm.nodes.includes(node)).map((alarm) =>
  h("p", {}, h("span", { class: "tag warn", title: sentence(alarm) }, h("span", { "aria-hidden": "true" }, SHAPES[alarm.badge] ?? "!"),
    NAMES[alarm.badge] ?? alarm.badge.replaceAll("_", " "))));

/** What the badges say, and the total beside itself. */
export function badgesPanel(found, metric, parameters) {
  const sums = found.sums;
  const body = found.withheld
    ? [h("p", { class: "empty" }, "Withheld: this federation shows sums of several organisations only, and badges speak of single ones.")]
    : [found.alarms.length
      ? h("ul", { class: "steps" }, found.alarms.map((alarm) => h("li", {}, sentence(alarm))))
      : h("p", {}, "Nobody drives the total, changed its level or is too exact for its noise."),
    sums ? h("p", { class: "quiet" }, `The total is ${number(sums.plain)}; with no organisation above ${percent(2 / 5)} of it ${number(sums.capped)}; `
      + `without the ${number(sums.left_out)} largest and smallest ${number(sums.trimmed)}.`) : null];
  const columns = [["Organisation", (one) => h("bdi", { class: "long" }, one.organisation)], ["Share", (one) => (one.share === null ? "–" : percent(one.share)), "number"],
    ["The total without it", (one) => number(one.without), "number"]];
  return panel({ id: "badges", size: "half", heading: "Badges", summary: "They exclude nobody: every total sums all that counts.", body,
    twin: table("", columns, found.influence), of: { path: insightPath(metric, { ...parameters, badges: 1 }) } });
}

function sentence(alarm) {
  const who = alarm.names.map(apart).join(" and ");
  if (alarm.badge === "driven_by_one") return `${who} is ${percent(alarm.share)} of the total; without it ${number(alarm.without)}.`;
  if (alarm.badge === "change_point") return `${who} changed its level about ${fullDay(alarm.window)}, from ${number(alarm.before)} to ${number(alarm.after)}.`;
  if (alarm.badge === "too_exact") {
    return `${who}: ${number(alarm.still)} of ${number(alarm.of)} cells stand still from release to release, where its noise would leave a quarter.`;
  }
  return `${who}: ${alarm.badge.replaceAll("_", " ")}.`;
}
