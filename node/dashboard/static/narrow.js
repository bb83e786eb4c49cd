// Which labels of each dimension, and whose numbers, a question keeps. All of it stands in the address as the API takes it.

import { choice, h } from "./dom.js";
import { label, number, title } from "./format.js";
import { remember, state } from "./state.js";

export const fromTheFirst = { "explore-cells": null }; // other rows: their table begins anew
const MOST_BOXES = 60; // a list a person reads; of more labels, those that are searched for

/** `country:DE,FR;app:shop` as a Map from dimension to labels; a backslash stands before , and ; within a label. */
export function parseWhere(text) {
  const found = new Map();
  for (const part of text ? text.split(/(?<!\\);/) : []) {
    const colon = part.indexOf(":");
    const labels = part.slice(colon + 1).match(/(?:[^,;\\]|\\.)+/g) ?? [];
    if (colon > 0 && labels.length) found.set(part.slice(0, colon), labels.map((one) => one.replaceAll(/\\(.)/g, "$1")));
  }
  return found;
}

export const whereText = (chosen) => [...chosen].map(([axis, labels]) =>
  `${axis}:${labels.map((one) => one.replaceAll(/[,;\\]/g, "\\$&")).join(",")}`).join(";");

/** What the address asks for beyond span and level: only what this metric has. */
export function narrowed(row) {
  const axes = new Map(row.dimensions.filter((axis) => axis.of === "by").map((axis) => [axis.name, axis.labels]));
  const kept = [...parseWhere(state("where"))].map(([axis, labels]) => {
    const known = new Set(axes.get(axis)); // made only of what is narrowed: there may be a hundred thousand labels
    return [axis, labels.filter((one) => known.has(one))];
  });
  const where = whereText(kept.filter(([, labels]) => labels.length));
  return { ...(where ? { where } : {}), ...(state("nodes") ? { nodes: state("nodes") } : {}) };
}

/** One fold-out of check boxes a dimension, and the choice of a node. */
export function picks(row, members) {
  const chosen = parseWhere(state("where"));
  const folds = row.dimensions.filter((axis) => axis.of === "by").map((axis) => fold(axis, chosen));
  const nodes = [["", "every node"], ...members.map((member) => [member.node, member.name])];
  return [...folds, members.length > 1 ? choice("Numbers of", "nodes", nodes, state("nodes") ?? "",
    (value) => remember({ nodes: value || null })) : null];
}

function fold(axis, chosen) {
  const kept = new Set(chosen.get(axis.name));
  const all = !kept.size || kept.size === axis.labels.length;
  const told = all ? "all" : kept.size <= 2 ? [...kept].map((one) => label(axis.name, one)).join(", ") : `${number(kept.size)} of ${number(axis.labels.length)}`;
  const keep = (labels) => {
    const next = new Map(chosen);
    if (labels.length && labels.length < axis.labels.length) next.set(axis.name, labels);
    else next.delete(axis.name);
    remember({ where: whereText(next) || null, ...fromTheFirst });
  };
  const box = (one, i) => h("label", {}, h("input", { type: "checkbox", id: `keep-${axis.name}-${i}`, checked: !all && kept.has(one),
    onchange: (event) => keep(axis.labels.filter((other) => (other === one ? event.target.checked : !all && kept.has(other)))) }),
  h("bdi", {}, label(axis.name, one)));
  const place = h("div", { class: "boxes" });
  const list = (words = "") => {
    const wanted = words.toLowerCase();
    const found = [];
    for (let i = 0; i < axis.labels.length && found.length < MOST_BOXES; i += 1) {
      const one = axis.labels[i];
      if (wanted ? label(axis.name, one).toLowerCase().includes(wanted) : all || axis.labels.length <= MOST_BOXES || kept.has(one)) found.push(box(one, i));
    }
    place.replaceChildren(...found);
  };
  list();
  const search = axis.labels.length > MOST_BOXES ? h("input", { type: "search", id: `find-${axis.name}`, "aria-label": `Find labels of ${title(axis.name)}`,
    placeholder: `${number(axis.labels.length)} labels: type to find`, oninput: (event) => list(event.target.value) }) : null;
  return h("div", { class: "pick" }, h("span", { "aria-hidden": "true" }, `Only ${title(axis.name).toLowerCase()}`), h("details", { id: `pick-${axis.name}` },
    h("summary", {}, h("span", { class: "visually-hidden" }, `Only ${title(axis.name)}: `), h("bdi", {}, told)),
    h("fieldset", {}, h("legend", { class: "visually-hidden" }, `Labels of ${title(axis.name)} to keep`), search, place,
      h("button", { type: "button", id: `all-${axis.name}`, disabled: all, onclick: () => keep([]) }, "All"))));
}
