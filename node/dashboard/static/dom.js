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

/** A name that is read out, and stands in what is taken along, but needs no room on the page. */
export const unseen = (text) => h("span", { class: "visually-hidden" }, text);

/**
 * Puts children into a place; one that stands there already is left untouched. Of those that give way to others of the
 * same ids, what was open stays open, what had the focus has it again.
 */
export function swap(place, ...children) {
  const wanted = children.flat(Infinity).filter(Boolean);
  const stays = new Set(wanted);
  exchange([...place.childNodes].filter((one) => !stays.has(one)), () => {
    let at = place.firstChild;
    for (const one of wanted) {
      if (one === at) at = at.nextSibling;
      else place.insertBefore(one instanceof Node ? one : new Text(one), at);
    }
  });
}

/** Puts a new element where an old one stands, if it does; with the same care. */
export function renew(old, fresh) {
  if (!old?.parentNode) return;
  const [place, next] = [old.parentNode, old.nextSibling];
  exchange([old], () => place.insertBefore(fresh, next));
}

/** Takes `old` nodes out, puts others in; reads the page before it changes it, so that it is laid out once. */
function exchange(old, put) {
  const gone = old.filter((one) => one instanceof Element);
  const within = (selector) => gone.flatMap((one) => [...(one.matches(selector) ? [one] : []), ...one.querySelectorAll(selector)]);
  const open = within("details[open][id]").map((one) => one.id);
  const focused = gone.some((one) => one.contains(document.activeElement)) ? document.activeElement.id : "";
  const scrolled = within(".scroll[id]").filter((one) => one.scrollTop).map((one) => [one.id, one.scrollTop]);
  for (const one of old) one.remove();
  put();
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  for (const [id, top] of scrolled) if (document.getElementById(id)) document.getElementById(id).scrollTop = top;
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

const standing = new Map(); // by id: what an element was made of

/** The element made last under this id, while it is made of the same; else a new one. */
export function unchanged(id, inputs, make) {
  const last = standing.get(id);
  if (last && last.inputs.length === inputs.length && last.inputs.every((one, i) => one === inputs[i])) return last.made;
  const made = make();
  standing.set(id, { inputs, made });
  return made;
}

/** Names one after the other; none turns the direction of the next. */
export const listed = (names) => names.map((name, i) => [i ? ", " : "", h("bdi", {}, name)]);

/** A labelled choice. `options` are [value, text]. */
export function choice(label, name, options, chosen, onchange) {
  return h("label", {}, label, h("select", { name, id: `choose-${name}`, onchange: (event) => onchange(event.target.value) },
    options.map(([value, text]) => h("option", { value, selected: value === chosen }, text))));
}

/** A word with a shape before it, so that no state is told by colour alone. */
export const tag = (tone, words) => h("span", { class: `tag ${tone}` },
  h("span", { "aria-hidden": "true" }, { good: "●", warn: "▲", bad: "■" }[tone] ?? "○"), words);
