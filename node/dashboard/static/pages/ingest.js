// Ingest, for the operator only: what came in and why some of it was dropped, what an event would become, the line for a page.

import { get, send } from "../api.js";
import { choice, find, h, renew, swap, tag } from "../dom.js";
import { instant, number, title } from "../format.js";
import { panel, table } from "../panel.js";
import { save } from "../take.js";
import { remember, state } from "../state.js";

export const controls = [];
const EVERY_MS = 2000;
const REASONS = { gpc: "Global Privacy Control", dnt: "Do Not Track", no_consent: "no consent", undeclared_app: "an app the plan does not name",
  undeclared_action: "an action the plan does not name", no_person: "nothing that stands for a person", late: "too late for its day",
  epoch_closed: "its day's keys are gone", sampled_out: "outside the sample", duplicate: "sent before", withdrawn: "consent withdrawn" };
const RECENT = { path: "/v1/ingest/recent", isPlain: true, cli: "murmur tail" };
const why = (code) => REASONS[code] ?? code.replaceAll("_", " ");

let text = null; // of the tester, kept while the page is drawn anew
let answer = null;
let timer = null;
let newest = null; // the last request on screen

export function setup(main) {
  return async () => {
    const { apps } = await get("/v1/ingest/plan");
    text ??= sample(apps);
    const requests = await recent();
    newest = signature(requests);
    swap(main, receipts(requests), lately(requests), tester(), snippet(apps));
    if (!answer) await attempt();
    clearInterval(timer);
    timer = setInterval(async () => {
      if (document.hidden) return;
      try {
        const now = await recent();
        if (signature(now) === newest) return;
        newest = signature(now);
        renew(find("#receipts"), receipts(now));
        renew(find("#lately"), lately(now));
      } catch { /* the frame says that the node is away */ }
    }, EVERY_MS);
    return null;
  };
}

const recent = async () => (await get("/v1/ingest/recent")).requests;
const signature = (requests) => JSON.stringify(requests.at(-1) ?? null);

function receipts(requests) {
  const kept = requests.reduce((sum, one) => sum + (one.accepted ?? 0), 0);
  const dropped = new Map();
  const add = (name, count, tone) => dropped.set(name, { count: (dropped.get(name)?.count ?? 0) + count, tone });
  for (const one of requests) {
    for (const [code, count] of Object.entries(one.filtered ?? {})) add(`filtered: ${why(code)}`, count, "");
    for (const { code, pointer, events } of one.rejected ?? []) add(`rejected: ${code.replaceAll("_", " ")}${pointer ? ` at ${pointer}` : ""}`, events, "warn");
    if (one.error) add(`request refused: ${one.error.replaceAll("_", " ")}`, 1, "bad");
  }
  const rows = [...dropped].sort((a, b) => b[1].count - a[1].count);
  return panel({ id: "receipts", size: "half", heading: "What came in",
    summary: requests.length ? `The last ${number(requests.length)} requests, held in memory: reasons and shapes, never a value. Exact, so shown to you alone.`
      : "Nothing has come since the node started.",
    body: requests.length ? [h("p", { class: "figure" }, `${number(kept)} `, h("span", { class: "pm" }, "events kept")),
      rows.length ? table("Not kept, and why", [["Why", ([name, { tone }]) => (tone ? tag(tone, name) : name)], ["Events", ([, { count }]) => number(count), "number"]],
        rows, { id: "reasons" }) : h("p", { class: "quiet" }, "Everything was kept.")] : h("p", { class: "empty" }, "Send an event, or try one below."), of: RECENT });
}

function lately(all) {
  const requests = all.toReversed();
  const keys = new Map();
  for (const one of requests) keys.set(one.key, (keys.get(one.key) ?? 0) + 1);
  const outcome = (one) => (one.error ? tag("bad", one.error.replaceAll("_", " ")) : [`${number(one.accepted)} kept`,
    ...Object.entries(one.filtered).map(([code, count]) => `${number(count)} ${why(code)}`),
    ...one.rejected.map((row) => `${number(row.events)} rejected: ${row.code.replaceAll("_", " ")}${row.pointer ? ` at ${row.pointer}` : ""}`)].join(", "));
  return panel({ id: "lately", size: "half", heading: "Request by request", summary: `Newest first; ${number(keys.size)} write ${keys.size === 1 ? "key" : "keys"} in use.`,
    body: requests.length ? table("", [["At", (one) => instant(one.at_s * 1000)], ["Key", (one) => h("code", {}, one.key)], ["What became of it", outcome]], requests,
      { tall: true, id: "requests", stacks: true }) : h("p", { class: "empty" }, "Each request appears here as it comes."), of: RECENT });
}

// -- the tester ----------------------------------------------------------------------------------------------

function sample(apps) {
  const app = apps[0];
  const action = app?.actions.toSorted((one, other) => other.fields.length - one.fields.length)[0];
  const attributes = Object.fromEntries((action?.fields ?? []).map((field) => [field.field, field.before]));
  return JSON.stringify({ app: app?.app ?? "shop", action: action?.action ?? "view", timestamp: new Date().toISOString(), user_id: "somebody", session_id: "a-visit",
    geo_hint: "DE", ...(app?.consent ? { consent: [app.consent] } : {}), attributes: { ...attributes, email: "not.declared@example.org" } }, null, 2);
}

async function attempt() {
  try {
    answer = { events: (await send("POST", `/v1/ingest/try${state("gpc") ? "?gpc=1" : ""}`, text)).events };
  } catch (error) {
    answer = { error };
  }
  find("#after")?.replaceChildren(...after());
}

function tester() {
  const field = h("textarea", { id: "event", rows: 16, spellcheck: "false", "aria-label": "An event, as it would be sent", oninput: () => { text = field.value; } });
  field.value = text;
  return panel({ id: "tester", heading: "Try an event", summary: "Left: what a page would send. Right: all that would be stored of it. Nothing is kept, counted or sent.",
    body: [h("div", { class: "pair" }, h("div", {}, h("h3", {}, "Before the filter"), field), h("div", { "aria-live": "polite" }, h("h3", {}, "After it"),
      h("div", { id: "after" }, after()))),
    h("div", { class: "controls" }, h("button", { type: "button", id: "try", onclick: attempt }, "Try it"),
      choice("The browser says", "gpc", [["", "nothing"], ["1", "Global Privacy Control"]], state("gpc") ?? "", (value) => { answer = null; remember({ gpc: value || null }); }))] });
}

function after() {
  if (!answer) return [h("p", { class: "quiet" }, "Filtering…")];
  if (answer.error) return [h("p", {}, tag("bad", "refused"), " ", answer.error.message)];
  return answer.events.map((one) => {
    if (one.rejected) return h("p", {}, tag("bad", "rejected"), ` ${one.rejected.code.replaceAll("_", " ")}${one.rejected.pointer ? ` at ${one.rejected.pointer}` : ""}. ${one.rejected.hint}`);
    if (one.filtered) return h("p", {}, tag("warn", "filtered"), ` ${why(one.filtered)}: nothing is stored, and the sender is told so.`);
    return h("div", {}, h("p", {}, tag("good", "kept"), " as this, and nothing else:"), h("pre", { tabindex: "0" }, JSON.stringify(one.words, null, 2)),
      h("details", { id: `row-${one.index}` }, h("summary", {}, "The row as it is sealed"), h("pre", { tabindex: "0" }, JSON.stringify(one.stored, null, 1))));
  });
}

// -- the line for a page -------------------------------------------------------------------------------------

// As node/cli/snippet.py has it: holds the page's calls until the script has come.
const STUB = 'window.murmur||(function(w,q,m){m=w.murmur=function(){q.length<99&&q.push(["",arguments])};m.q=q;' +
  '["consent","optOut","optIn","flush","page"].forEach(function(n){m[n]=function(){q.push([n,arguments])}})})(window,[])';

function snippet(apps) {
  const app = apps.find((one) => one.app === state("app")) ?? apps[0];
  if (!app) return null;
  const page = app.actions.some((one) => one.action === state("page")) ? state("page") : "";
  const place = h("input", { id: "snippet-url", value: state("url") ?? "", placeholder: "https://events.example.org", "aria-label": "Where pages reach this node", onchange: () => remember({ url: place.value || null }) });
  const key = h("input", { id: "snippet-key", placeholder: "mw_…", autocomplete: "off", "aria-label": "A write key bound to the page's origin", oninput: () => { find("#snippet-text").textContent = line(); } });
  const quoted = (value) => String(value).replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;");
  const line = () => `<script>${STUB}</script>\n<script defer src="${quoted((place.value || place.placeholder).replace(/\/$/, ""))}/client.js" data-key="${quoted(key.value || key.placeholder)}" data-app="${quoted(app.app)}"`
    + `${page ? ` data-page="${quoted(page)}"` : ""}${app.consent ? ' data-consent="required"' : ""}></script>`;
  return panel({ id: "snippet", heading: "The lines for a page",
    summary: `Two lines of HTML, 3 kB of script, no cookie. ${app.consent ? `This app needs consent to ${app.consent}: nothing is sent before murmur.consent([…]).` : "This app asks for no consent."}`,
    body: [h("div", { class: "controls" }, choice("App", "app", apps.map((one) => [one.app, title(one.app)]), app.app, (value) => remember({ app: value, page: null })),
      choice("A page view is", "page", [["", "not counted"], ...app.actions.map((one) => [one.action, title(one.action)])], page, (value) => remember({ page: value || null })),
      h("label", {}, "Node's address", place), h("label", {}, "Write key", key)),
    h("pre", { id: "snippet-text", tabindex: "0" }, line()),
    h("div", { class: "controls" }, h("button", { type: "button", onclick: () => save("murmur-snippet.html", find("#snippet-text").textContent, "text/html") }, "Save")),
    h("p", { class: "quiet" }, "It works when a request with its key shows above. The key stays in this field; it is not put into the address.")] });
}
