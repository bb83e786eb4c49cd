// Elements. Text children are text, never markup, whatever a member, a metric or a value is called.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export const h = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);

export const svg = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

export const find = (selector, from = document) => from.querySelector(selector);

/** Puts new children into a place; what was open stays open, what had the focus has it again. */
export function swap(place, ...children) {
  const open = new Set([...place.querySelectorAll("details[open][id]")].map((one) => one.id));
  const focused = place.contains(document.activeElement) ? document.activeElement.id : "";
  const scrolled = new Map([...place.querySelectorAll(".scroll[id]")].map((one) => [one.id, one.scrollTop]));
  place.replaceChildren(...children.flat(Infinity).filter(Boolean));
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  for (const [id, top] of scrolled) if (document.getElementById(id)) document.getElementById(id).scrollTop = top;
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

/** A labelled choice. `options` are [value, text]. */
export function choice(label, name, options, chosen, onchange) {
  return h("label", {}, label, h("select", { name, id: `choose-${name}`, onchange: (event) => onchange(event.target.value) },
    options.map(([value, text]) => h("option", { value, selected: value === chosen }, text))));
}

/** A word with a shape before it, so that no state is told by colour alone. */
export const tag = (tone, words) => h("span", { class: `tag ${tone}` },
  h("span", { "aria-hidden": "true" }, { good: "●", warn: "▲", bad: "■" }[tone] ?? "○"), words);
