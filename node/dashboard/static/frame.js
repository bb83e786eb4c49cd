// The frame of every page: rail, controls, keys, status line, live updates; then the page's own module.

import { keep, key } from "./access.js";
import { forgetAnswers } from "./api.js";
import { choice, find, h, listed, tag } from "./dom.js";
import { fullDay, percent } from "./format.js";
import { watch } from "./live.js";
import { silent } from "./peers.js";
import { address, onChange, remember, state } from "./state.js";

const PAGES = [["/", "Overview", "o"], ["/explore", "Explore", "e"], ["/map", "Map", "m"], ["/platforms", "Platforms", "p"],
  ["/journeys", "Journeys", "j"], ["/rhythm", "Rhythm", "r"], ["/mesh", "Mesh", "h"], ["/budget", "Budget", "b"], ["/releases", "Releases", "l"],
  ...(document.documentElement.dataset.plane === "operator" ? [["/ingest", "Ingest", "i"], ["/admin", "Admin", "a"]] : [["/privacy", "Privacy", "y"]])];
const SPANS = [["1", "newest window"], ["7d", "7 days"], ["14d", "14 days"], ["30d", "30 days"], ["90d", "90 days"]];
const LEVELS = ["0.80", "0.95", "0.99"].map((level) => [level, percent(level)]);
const KEYS = [["D", "newest window"], ["W", "seven days"], ["M", "thirty days"], ["← →", "the span before, the span after"],
  ["X", "compare with the span before"], ["/", "first choice of the page"], ["T", "light, dark, as the system"],
  ["?", "this list"], ["Esc", "close; else clear what narrows the page"]];
const NARROWING = ["by", "where", "nodes", "compare", "raw", "place", "node", "release", "after"];

const here = location.pathname;
const name = here === "/" ? "overview" : here.slice(1);
let shown = null; // the windows on screen, for the keys that move them

/** What a page may ask of the frame. */
const frame = {
  about: (text) => { find("#about").textContent = text; },
  windows: (windows) => { shown = windows.count ? windows : null; },
};

// -- rail and controls ---------------------------------------------------------------------------------------

let railFor = null; // the shared state its links hold

function drawRail() {
  if (railFor === address("/")) return;
  railFor = address("/");
  const links = PAGES.map(([path, text]) => h("li", {}, h("a", { href: address(path), "aria-current": path === here ? "page" : null }, text)));
  find("#pages").replaceChildren(...links);
  find("[data-keep]").href = address("/");
  const [row, current] = [find(".rail nav"), find(".rail [aria-current]")];
  if (current && row.scrollWidth > row.clientWidth) row.scrollLeft = current.offsetLeft - (row.clientWidth - current.clientWidth) / 2;
}

let controlsFor = null;

function drawControls(wanted) {
  const shows = JSON.stringify(["from", "last", "level", "theme"].map(state));
  if (controlsFor === shows) return;
  controlsFor = shows;
  const form = find("#controls");
  const span = state("from") ? [["", "as chosen"], ...SPANS] : SPANS;
  const fields = {
    span: () => choice("Span", "last", span, state("from") ? "" : state("last"),
      (value) => value && remember({ last: value, from: null, to: null })),
    level: () => choice("Privacy interval", "level", LEVELS, state("level"), (value) => remember({ level: value })),
  };
  form.replaceChildren(...wanted.map((field) => fields[field]()),
    h("button", { type: "button", id: "theme", title: "Light, dark or as the system (T)", onclick: nextTheme }, themeText()),
    h("button", { type: "button", id: "keys", title: "Keys (?)", "aria-label": "Keyboard shortcuts", onclick: openHelp }, "?"));
  form.hidden = false;
}

const themeText = () => ({ light: "☀ Light", dark: "☾ Dark" }[state("theme")] ?? "◐ Auto");

function applyTheme() {
  const theme = state("theme");
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
}

addEventListener("beforeprint", () => { document.documentElement.dataset.theme = "light"; });
addEventListener("afterprint", applyTheme);

function nextTheme() {
  remember({ theme: { light: "dark", dark: null }[state("theme")] ?? (state("theme") === null ? "light" : null) });
  find("#theme").focus();
}

// -- keys ----------------------------------------------------------------------------------------------------

function openHelp() {
  const pages = PAGES.map(([, text, letter]) => [`G ${letter.toUpperCase()}`, text]);
  find("#help").replaceChildren(h("h2", { id: "help-title" }, "Keys"),
    h("dl", { class: "keys" }, [...KEYS, ...pages].map(([keys, text]) => [h("dt", {}, h("kbd", {}, keys)), h("dd", {}, text)])),
    h("button", { type: "button", onclick: () => find("#help").close() }, "Close"));
  find("#help").showModal();
}

function move(direction) {
  if (!shown) return;
  const hours = { hour: 1, day: 24, week: 168, month: 720 }[shown.kind] * shown.count;
  const from = Date.parse(`${shown.first.slice(0, 10)}T${shown.first.slice(11, 13).match(/^[0-9]{2}$/) ? shown.first.slice(11, 13) : "00"}:00Z`);
  const text = (ms) => new Date(ms).toISOString().slice(0, shown.kind === "hour" ? 13 : 10);
  remember({ from: text(from + direction * hours * 3_600_000), to: text(from + (direction + 1) * hours * 3_600_000) });
}

let leader = false;

function pressed(event) {
  const typing = event.target.matches("input, textarea, select, [role=application]");
  if (event.ctrlKey || event.metaKey || event.altKey || typing || find("#help").open) return;
  const letter = event.key.toLowerCase();
  if (leader) {
    leader = false;
    const page = PAGES.find((one) => one[2] === letter);
    if (page) location.assign(address(page[0]));
    return;
  }
  const actions = {
    g: () => { leader = true; setTimeout(() => { leader = false; }, 1500); },
    d: () => remember({ last: "1", from: null, to: null }),
    w: () => remember({ last: "7d", from: null, to: null }),
    m: () => remember({ last: "30d", from: null, to: null }),
    x: () => remember({ compare: state("compare") ? null : "previous" }),
    t: nextTheme,
    "?": openHelp,
    escape: () => NARROWING.some((one) => state(one) !== null) && remember(Object.fromEntries(NARROWING.map((one) => [one, null]))),
    "/": () => find("main select, main input, main textarea, #controls select")?.focus(),
    arrowleft: () => move(-1),
    arrowright: () => move(1),
  };
  if (!(letter in actions) || (letter.startsWith("arrow") && event.target.closest(".scroll"))) return;
  event.preventDefault();
  actions[letter]();
}

// -- status --------------------------------------------------------------------------------------------------

let saidLast = null;

/** "3 of 4 nodes" by what this node hears of the others, and how fresh the numbers are; said again only when it changed. */
function tell(reply, newest) {
  delete document.body.dataset.state;
  const says = JSON.stringify([silent(reply), reply.data.members.length, reply.data.charter, newest]);
  if (saidLast === says) return;
  saidLast = says;
  const members = reply.data.members;
  const names = silent(reply).map((member) => member.name);
  const up = members.length - names.length;
  const parts = [tag(names.length ? "warn" : "good", `${up} of ${members.length} nodes`)];
  if (names.length) parts.push(h("span", {}, "not heard of: ", listed(names)));
  if (newest) parts.push(h("span", {}, `data as of ${fullDay(newest)}, UTC`));
  find("#status").replaceChildren(...parts);
  const by = reply.metadata.served_by.name;
  find("#served").replaceChildren("Served by ", h("bdi", {}, by), `; every node of the federation gives the same numbers. Charter version `
    + `${reply.data.charter.version}, `, h("code", {}, reply.data.charter.hash.slice(0, 16)), "…");
}

function tellError(error) {
  saidLast = null;
  const isRefused = [400, 404, 409, 410, 422].includes(error.status); // the question is at fault: older numbers would answer another one
  document.body.dataset.state = isRefused ? "refused" : "stopped";
  if (error.status === 401 || error.status === 403) return askForKey(error);
  if (isRefused) find("#main").replaceChildren();
  find("#status").replaceChildren(tag("bad", isRefused ? "refused" : "no answer"), h("span", {}, error.message));
  return null;
}

function askForKey(error) {
  document.body.dataset.state = "locked";
  const field = h("input", { type: "password", name: "key", autocomplete: "off", required: true, "aria-label": "API key" });
  const form = h("form", { class: "controls", onsubmit: (event) => {
    event.preventDefault();
    keep(field.value);
    location.reload();
  } }, field, h("button", {}, "Use this key"), key() ? h("button", { type: "button", onclick: () => { keep(""); location.reload(); } }, "Forget it") : null);
  find("#status").replaceChildren(tag("warn", "a key is needed"), h("span", {}, error.message),
    h("span", {}, "It stays in this tab and is forgotten when the tab closes."), form);
  return null;
}

// -- all of it -----------------------------------------------------------------------------------------------

async function start() {
  applyTheme();
  drawRail();
  for (const form of document.forms) form.addEventListener("submit", (event) => event.preventDefault());
  document.addEventListener("keydown", pressed);
  const page = await import(`./pages/${name}.js`);
  const main = find("#main");
  const show = page.setup(main, frame);
  let reply = null;
  let turn = 0;

  async function refresh(advanced = []) {
    const mine = ++turn;
    applyTheme();
    drawRail();
    drawControls(page.controls ?? []);
    try {
      const newest = await show({ reply, advanced });
      if (mine === turn && reply) tell(reply, newest);
      arrive();
    } catch (error) {
      if (mine === turn) tellError(error);
      if (!(error.status >= 0)) throw error;
    }
  }
  let isThere = false;
  function arrive() { // a link to a panel leads to it, once it is drawn
    if (!isThere) document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
    isThere = true;
  }
  onChange(() => refresh());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => refresh());
  if (page.isAlone) {
    await refresh();
    find("#status").replaceChildren();
    return;
  }
  watch((now, advanced, error) => {
    if (error) tellError(error);
    else {
      if (advanced.length || reply?.data.charter.hash !== now.data.charter.hash) forgetAnswers(); // a silent peer changes no number
      reply = now;
      frame.about(now.data.name);
      refresh(advanced);
    }
  }, (nodes, now) => page.heard?.(nodes, now));
}

start();
