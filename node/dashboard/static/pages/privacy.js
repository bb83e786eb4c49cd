// What a visitor may know: what is tracked, what becomes of it, what it can cost them. Needs no key and no other page.

import { find, h, swap, tag, unseen } from "../dom.js";
import { blocked, isOut, stayOut, takePart } from "../optout.js";
import { apart, counted, day, fullDay, number, title } from "../format.js";
import { panel, table } from "../panel.js";

export const controls = [];
export const isAlone = true;
const statement = (json) => ({ path: "/privacy.json", isPlain: true, json });
const ARROW = [unseen("becomes"), () => h("span", { "aria-hidden": "true" }, "→"), "mark"];
const KEYS = { user: "your account at this platform", session: "one visit", address: "your address and browser, hashed in memory" };
const guess = (epsilon) => (epsilon > 4.6 ? "over 99 in 100" : `${Math.round(100 / (1 + Math.exp(-epsilon)))} in 100`);

export function setup(main, frame) {
  return async () => {
    const [told, mine] = await Promise.all([fetch("/privacy.json"), fetch("/privacy/request.json", { cache: "no-store" })]
      .map((reply) => reply.then((one) => one.json())));
    frame.about(`${apart(told.name)}, a platform of ${apart(told.federation.name)}. Generated from its live configuration; last changed ${fullDay(told.changed)}.`);
    if (!told.dashboard) find(".rail nav").hidden = true;
    find("#footer").replaceChildren(h("p", {}, "The same as JSON: ", h("a", { href: "/privacy.json" }, "/privacy.json"), ", ",
      h("a", { href: "/.well-known/gpc.json" }, "/.well-known/gpc.json"), ". This page sets no cookie and asks no other server."));
    const apps = told.plan.apps.map((app) => appPanel(app, told.plan.apps.length % 2 ? app === told.plan.apps.at(-1) : false));
    swap(main, short(told), choiceOf(mine), request(mine), dropped(told), kept(told), ...apps, risk(told), federation(told), releases(told));
  };
}

function short(told) {
  return panel({ id: "short", size: "two-thirds", heading: "In short", body: h("div", { class: "prose" },
    h("p", {}, "This platform counts how its tools are used. Events are filtered before anything is stored; what is stored is sealed, and its keys "
      + "are destroyed. Only sums with random noise ever leave this machine, signed. The noise limits what anybody can learn about ",
    h("strong", {}, "you"), " from them; by how much is ", h("a", { href: "#risk" }, "said below"), "."),
    h("p", {}, `${counted(told.plan.apps.length, "app")} ${told.plan.apps.length === 1 ? "is" : "are"} counted, with the fields listed below and no others. Raw events are shared with nobody, not even `
      + "with the other members of the federation. Where an app asks for consent, no consent means no event.")) });
}

/** The switch of the node's own script, on the page that explains it. Works without login or cookie; no server is told. */
function choiceOf(mine) {
  const place = h("div", { id: "opted", "aria-live": "polite" });
  const button = h("button", { type: "button", role: "switch", id: "opt-out", class: "switch", onclick: () => {
    if (isOut()) takePart();
    else stayOut();
    tell();
  } });
  const tell = () => {
    const out = isOut();
    button.setAttribute("aria-checked", String(out));
    button.replaceChildren(h("span", { class: "knob", "aria-hidden": "true" }), out ? "Staying out" : "Stay out");
    place.replaceChildren(blocked() ? h("p", {}, tag("warn", "not kept"), " This browser keeps nothing for this page, so the switch cannot hold. Use Global Privacy Control instead.")
      : out ? h("p", {}, tag("good", "you are out"), " Pages at this address send nothing from this browser, and what waited to be sent is deleted. What this visit sent before is withdrawn "
        + "as soon as a page with the script is open, and is left out of every sum not yet released.")
        : h("p", {}, tag("", "taking part"), mine.would_be_kept ? " Events are sent where you consented, or where no consent is asked." : " Your browser's signal already keeps you out; the switch would hold without it, too."));
  };
  tell();
  return panel({ id: "choice", size: "third", heading: "Your choice",
    summary: "One mark in this browser's storage, read by the script that would send. No cookie, no login.",
    body: [h("div", { class: "controls" }, button), place,
      h("p", { class: "quiet small" }, `It holds for pages at ${location.host}, because browsers share no storage between sites. A platform at another address has its own switch (`, h("code", {}, "murmur.optOut()"),
        "). Global Privacy Control or Do Not Track, switched on in your browser, hold everywhere: each event that carries the signal is dropped at the door.")] });
}

/** What the node reads of a request, with this browser's own values: they are put in by this page, not sent anywhere. */
function request(mine) {
  const now = new Date().toISOString();
  const known = { "User-Agent": navigator.userAgent, "Accept-Language": navigator.languages?.join(", "), Referer: document.referrer };
  const rows = [["Your IP address", "as your network shows it", "at most a country, read in memory; then dropped"], ["The time", now, mine.would_be_kept ? `${now.slice(0, 13)}, the hour in UTC` : "dropped"],
    ...mine.headers_dropped.map((name) => [name, known[name] || "sent", "dropped, unread"]),
    ["An id of you", "none is sent", "nobody is looked up"]];
  const state = mine.would_be_kept ? tag("", "no signal sent") : tag("good", mine.gpc ? "Global Privacy Control is on" : "Do Not Track is on");
  return panel({ id: "request", heading: "What would this request leave?",
    summary: "The request that brought this page, as if it had carried an event. Nobody was looked up and nothing was stored; only the names of its headers were read.",
    body: [h("p", {}, state, " ", mine.would_be_kept ? "An event from this browser would be kept if you consented and the plan below names it." : "An event from this browser would be dropped whole, at the door."),
      table("", [["What", (row) => row[0]], ["Before", (row) => h("code", { class: "long" }, row[1])], ARROW, ["After", (row) => row[2]]], rows, { id: "request-rows", stacks: true })],
    of: { path: "/privacy/request.json", isPlain: true, json: () => ({ ...mine, rows: rows.map(([what, before, after]) => ({ what, before, after })) }) } });
}

function appPanel(app, isWide) {
  const rows = app.actions.flatMap((action) => (action.fields.length ? action.fields.map((field) => ({ action: action.action, ...field }))
    : [{ action: action.action, field: "–", before: "", after: "only that it happened" }]));
  const share = app.share_of_people === "1" ? "" : ` Only a share of ${app.share_of_people} of people is counted.`;
  return panel({ id: `app-${app.app}`, size: isWide ? "" : "half", heading: h("bdi", {}, title(app.app)),
    summary: `Stands for you: ${KEYS[app.person_key]}. ${app.consent ? `Needs your consent to ${app.consent}.` : "Asks for no consent."}${share}`,
    body: table("", [["When you", (row) => h("bdi", {}, row.action)], ["Field", (row) => h("bdi", {}, row.field)],
      ["Sent, for example", (row) => (row.before ? h("code", {}, row.before) : "")], ARROW, ["Kept", (row) => h("code", {}, row.after)]], rows, { stacks: true }), of: statement(() => app) });
}

function dropped(told) {
  return panel({ id: "dropped", size: "half", heading: "What is dropped before anything is stored",
    body: h("div", { class: "prose" }, h("ul", {}, told.dropped.map((line) => h("li", {}, line)))), of: statement(() => told.dropped) });
}

function kept(told) {
  const facts = [["Pseudonyms change", `every ${told.kept.epoch}; the key that made them is destroyed ${told.kept.pseudonym_key_hours} hours after`],
    ["Sealed events", `unreadable for ever ${told.kept.data_key_days} days after their ${told.kept.epoch}, when the data key is destroyed`],
    ["Released sums", "stay: they hold noise, and nobody in particular"],
    ["Forgetting you", `the platform can erase one person's rows while the ${told.kept.epoch}'s pseudonym key exists`]];
  return panel({ id: "kept", size: "half", heading: "How long", body: h("dl", { class: "facts" }, facts.map(([name, text]) => [h("dt", {}, name), h("dd", {}, text)])), of: statement(() => told.kept) });
}

function risk(told) {
  const { at_the_cap: cap, charged_here: charged, delta } = told.guarantees;
  const rows = [["charged here so far", charged], ["at most here, by the charter", cap.one_platform],
    ["at most for someone on every platform", cap.all_platforms]].filter(([, spans]) => spans);
  const spans = rows[0]?.[1] ?? [];
  const day1 = (charged ?? cap.one_platform)?.[0];
  return panel({ id: "risk", size: "two-thirds", heading: "What it can cost you",
    summary: day1 ? `Suppose someone knows everything about everyone else and guesses, fifty-fifty, whether you were here on one day. The published sums make `
      + `that guess right at best ${guess(Number(day1.epsilon))}.` : "Nothing has been released yet.",
    body: table(`ε (smaller is safer) at δ = ${delta}, for someone active every day of the span; in brackets the best guess.`,
      [[unseen("Who"), (row) => row[0]], ...spans.map((span, i) => [`${number(span.days)} day${span.days > 1 ? "s" : ""}`,
        (row) => `${Number(row[1][i].epsilon).toFixed(2)} (${guess(Number(row[1][i].epsilon))})`, "number"])], rows), of: statement(() => told.guarantees) });
}

function federation(told) {
  return panel({ id: "federation", size: "third", heading: "Who sees the sums", summary: `The members of ${apart(told.federation.name)}, and whoever they show them to.`,
    body: [h("ul", { class: "plain" }, told.federation.members.map((member) => h("li", {}, h("bdi", { class: "long" }, member.name), " ",
      member.organisation === member.name ? null : h("span", { class: "quiet" }, h("bdi", {}, member.organisation))))),
    h("details", { id: "questions" }, h("summary", {}, `The ${counted(told.metrics.length, "question")} that are asked`),
      table("", [["Question", (row) => row.question], ["Each", (row) => row.window]], told.metrics))],
    of: statement(() => ({ ...told.federation, metrics: told.metrics })) });
}

function releases(told) {
  return panel({ id: "releases", heading: "The last that left", summary: "Signed, noised sums of this node, newest first.",
    body: told.releases.length ? table("", [["What", (row) => h("bdi", {}, title(row.metric))], ["Of", (row) => day(row.window)],
      ["Release", (row) => h("code", { class: "long" }, row.release.slice(0, 24), "…")]], told.releases)
      : h("p", { class: "empty" }, "Nothing has left this node yet."), of: statement(() => told.releases) });
}
