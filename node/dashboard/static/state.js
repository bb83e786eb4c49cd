// All state of a page is its address: it can be bookmarked, sent and gone back to.

const SHARED = ["last", "from", "to", "level", "theme", "compare"];
const DEFAULTS = { last: "7d", level: "0.95" };
const listeners = new Set();

export const state = (name) => new URLSearchParams(location.search).get(name) ?? DEFAULTS[name] ?? null;

/** Changes parameters (null removes one) and tells the page. */
export function remember(changes, { quiet = false } = {}) {
  const next = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === DEFAULTS[name]) next.delete(name);
    else next.set(name, value);
  }
  const text = next.toString();
  history[quiet ? "replaceState" : "pushState"](null, "", text ? `?${text}` : location.pathname);
  renewLinks();
  if (!quiet) for (const listener of listeners) listener();
}

export function onChange(listener) {
  listeners.add(listener);
  addEventListener("popstate", () => {
    renewLinks();
    listener();
  });
}

/** Links to panels that stay on screen hold the state that is on screen. */
function renewLinks() {
  for (const one of document.querySelectorAll("a[data-here]")) one.setAttribute("href", `${location.pathname}${location.search}#${one.dataset.here}`);
}

const DAYS = { hour: 1, day: 1, week: 7, month: 31 };

/** The span and level every page asks with; of a metric with longer windows, as many whole ones as cover the span. */
export function asked(window) {
  if (state("from") && state("to")) return { from: state("from"), to: state("to"), level: state("level") };
  const days = /^([0-9]+)d$/.exec(state("last"))?.[1];
  const last = days && DAYS[window] > 1 ? String(Math.max(1, Math.round(Number(days) / DAYS[window]))) : state("last");
  return { last, level: state("level") };
}

/** An address of another page that keeps what all pages share. */
export function address(path, more = {}) {
  const kept = new URLSearchParams();
  const now = new URLSearchParams(location.search);
  for (const name of SHARED) if (now.has(name)) kept.set(name, now.get(name));
  for (const [name, value] of Object.entries(more)) if (value !== null) kept.set(name, value);
  const text = kept.toString();
  return text ? `${path}?${text}` : path;
}
