// Platforms: what each node contributes, with its own interval; and this node beside all others, where that hides nobody.

import { catalogue, insight } from "../api.js";
import { badgesOf, badgesPanel } from "../badges.js";
import { choice, h, swap, unseen } from "../dom.js";
import { apart, between, differs, estimate, number, percent, reason, span, title, wide } from "../format.js";
import { bar, sparkline } from "../marks.js";
import { panel, table } from "../panel.js";
import { insightPath } from "../take.js";
import { asked, remember, state } from "../state.js";

export const controls = ["span", "level"];
const ENOUGH = 3; // with two contributors each would know the other's number by subtraction

export function setup(main, frame) {
  return async ({ reply }) => {
    const metrics = await catalogue();
    const row = metrics.find((one) => one.metric === state("metric")) ?? metrics.find((one) => one.metric === "people") ?? metrics[0];
    if (!row) {
      swap(main, h("p", { class: "empty" }, "The catalogue is empty: the federation has not agreed on any metric yet."));
      return null;
    }
    const parameters = { ...asked(row.window), by: row.dimensions.some((axis) => axis.name !== "bin") ? "total" : "" };
    if (!parameters.by) delete parameters.by;
    const { data: whole } = await insight(row.metric, { ...parameters, badges: 1 });
    frame.windows(whole.windows);
    const contributing = whole.members.filter((member) => member.windows > 0 && !whole.withheld); // else no node is told apart
    const own = new Map(await Promise.all(contributing.map(async (member) =>
      [member.node, (await insight(row.metric, { ...parameters, nodes: member.node })).data])));
    const self = reply?.metadata.served_by.node;
    const others = contributing.length >= ENOUGH && own.has(self)
      ? (await insight(row.metric, { ...parameters, nodes: contributing.map((one) => one.node).filter((node) => node !== self).join(",") })).data
      : null;
    swap(main, contributions(metrics, row, whole, own, parameters), usAndOthers(own.get(self), others, contributing.length, insightPath(row.metric, parameters)),
      badgesPanel(whole.badges, row.metric, parameters), standing(whole, insightPath(row.metric, parameters)));
    return row.newest;
  };
}

function contributions(metrics, row, whole, own, parameters) {
  const most = Math.max(1, ...[...own.values()].map((one) => Number(one.total?.upper ?? 0)));
  const names = [...new Set(metrics.map((one) => one.metric))].map((name) => [name, title(name)]);
  const cards = whole.members.map((member) => {
    const answer = own.get(member.node);
    return h("article", { class: "platform" },
      h("h3", {}, h("bdi", { class: "long" }, member.name)), member.organisation === member.name ? null : h("p", { class: "quiet" }, h("bdi", {}, member.organisation)),
      answer?.total
        ? [h("p", { class: "figure small" }, estimate(answer.total), " ", wide(answer.total)), bar(answer.total, most), sparkline(answer.series), badgesOf(whole.badges, member.node)]
        : h("p", { class: "empty" }, gapText(member) || (whole.withheld ? "not shown alone" : "nothing released")),
      h("p", { class: "quiet" }, answer ? `${apart(answer.counts)}, ${number(member.windows)} of ${number(whole.windows.count)} ${whole.windows.kind}s` : ""));
  });
  const columns = [["Node", (one) => h("bdi", { class: "long" }, one.name)], ["Organisation", (one) => h("bdi", { class: "long" }, one.organisation)],
    ["Estimate", (one) => (own.get(one.node)?.total ? number(own.get(one.node).total.estimate) : "–"), "number"],
    [`${percent(whole.level)} privacy interval`, (one) => (own.get(one.node)?.total ? between(own.get(one.node).total) : "–"), "number"],
    ["Windows", (one) => number(one.windows), "number"], ["People are", (one) => one.person_keys.map((kind) => `${kind}s`).join(", ") || "–"]];
  return panel({ id: "platforms", heading: title(whole.metric),
    summary: h("span", {}, `${apart(whole.question)} Together `, estimate(whole.total), ` ${apart(whole.counts)}, ${span(whole.windows)}. Each number is that `
      + "node's own signed release, with its own noise."),
    body: [h("div", { class: "controls" }, choice("Metric", "metric", names, row.metric, (value) => remember({ metric: value }))),
      h("div", { class: "pair platforms" }, cards)],
    twin: table("", columns, whole.members), of: { path: insightPath(row.metric, parameters), cli: `murmur query ${row.metric} --nodes NODE`,
      json: () => ({ together: whole, own: Object.fromEntries(own) }) } });
}

const gapText = (member) => member.without.map((gap) => `${reason(gap.reason)} (${number(gap.windows.length)})`).join(", ");

function usAndOthers(mine, others, count, path) {
  let body;
  let more = {};
  if (!others?.total || !mine?.total) {
    body = h("p", { class: "empty" }, count < ENOUGH
      ? `Shown from ${ENOUGH} contributing nodes on; with two, each would know the other's number by subtraction.`
      : "This node has not released this metric in this span.");
  } else {
    const share = (row) => Number(row.estimate) / (Number(mine.total.estimate) + Number(others.total.estimate));
    const most = Math.max(Number(mine.total.upper), Number(others.total.upper));
    const row = (name, one) => h("li", {}, h("span", { class: "rank" }, percent(share(one.total))), h("span", { class: "name" }, name),
      bar(one.total, most), h("span", { class: "value" }, estimate(one.total)));
    const columns = [[unseen("Who"), ([name]) => name], ["Estimate", ([, one]) => number(one.total.estimate), "number"],
      [`${percent(mine.level)} privacy interval`, ([, one]) => between(one.total), "number"], ["Share", ([, one]) => percent(share(one.total)), "number"]];
    more = { twin: table("", columns, [["This node", mine], ["The others", others]]), of: { path, json: () => ({ mine, others }) } };
    body = [h("ul", { class: "bars" }, row("this node", mine), row("the others", others)),
      h("p", { class: "quiet" }, differs(mine.total, others.total) ? "The difference is more than the noise." : "The noise cannot tell which is larger.")];
  }
  return panel({ id: "us", size: "half", heading: "This node and the others", summary: "The others are one sum; no single one stands out.", body, ...more });
}

function standing(whole, path) {
  const columns = [["Node", (one) => h("bdi", { class: "long" }, one.name)], ["State", (one) => one.state],
    ["Without", (one) => gapText(one) || "–"]];
  return panel({ id: "standing", heading: `${whole.reporting} nodes`, summary: "Who is in the sum, who is not, and why.",
    body: table("", columns, whole.members), of: { path } });
}
