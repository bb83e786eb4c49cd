// Admin, for the operator only: checks, keys, requests and proposals, API keys, peers, audit. Every change is confirmed by typing a name.

import { get, send } from "../api.js";
import { choice, find, h, listed, swap, tag, unseen } from "../dom.js";
import { apart, counted, fullDay, instant, number } from "../format.js";
import { panel, table } from "../panel.js";
import { skewText } from "../peers.js";
import { typed } from "../typed.js";

export const controls = [];
const TONES = { pass: "good", warn: "warn", fail: "bad" };
const of = (name, cli) => ({ path: `/v1/admin/${name}`, isPlain: true, cli });
const day = (seconds) => (seconds ? fullDay(new Date(seconds * 1000).toISOString().slice(0, 10)) : "–");
const bytes = new Intl.NumberFormat(undefined, { style: "unit", unit: "byte", notation: "compact", unitDisplay: "narrow" });

export function setup(main) {
  const show = async () => {
    const [status, signing, doctor, charter, tokens, peers, audit] = await Promise.all(["status", "keys/signing", "doctor", "charter/words", "tokens",
      "mesh/peers", "audit?last=100"].map((name) => get(`/v1/admin/${name}`)));
    swap(main, checks(doctor.checks, show), key(status, signing, show), deciding(charter), asking(charter.requests, show), keys(tokens.tokens, show),
      peersPanel(peers.peers), auditPanel(audit.records));
    return null;
  };
  return show;
}

function checks(rows, show) {
  const [good, others] = [rows.filter((row) => row.state === "pass"), rows.filter((row) => row.state !== "pass")];
  others.sort((one, other) => one.state.localeCompare(other.state)); // fail before warn
  const words = others.some((row) => row.state === "fail") ? "Something needs you." : others.length ? "Worth a look." : "All is well.";
  const columns = [[unseen("State"), (row) => tag(TONES[row.state], row.state)], ["Check", (row) => row.name], ["Found", (row) => h("span", { class: "long" }, row.detail)],
    ["What to do", (row) => row.fix || "–"]];
  return panel({ id: "checks", size: "two-thirds", heading: "Checks", summary: words,
    body: [others.length ? table("", columns, others, { id: "check-rows", stacks: true }) : null,
      h("details", { id: "passed", open: !others.length }, h("summary", {}, `${counted(good.length, "check")} passed`), table("", columns.slice(0, 3), good, { stacks: true })),
    h("div", { class: "controls" }, h("button", { type: "button", id: "sync", onclick: async (event) => {
      event.target.disabled = true;
      try {
        await send("POST", "/v1/admin/mesh/sync");
      } finally {
        await show();
      }
    } }, "Compare logs with every peer now"))], of: of("doctor", "murmur doctor") });
}

function key(status, signing, show) {
  const facts = [["This node", h("bdi", {}, status.name)], ["Id", h("code", { class: "long" }, status.node)], ["Version", status.version],
    ["Signing key", h("code", { class: "long" }, signing.signing_key)], ["Changed", signing.changed_at !== null ? `at entry ${number(signing.changed_at)} of its log` : "never, since the node was made"],
    ["Position", `${number(signing.position.generation)}.${number(signing.position.seq)}`],
    ["State", signing.is_frozen ? tag("bad", "frozen: two entries at one place") : signing.held_back ? tag("warn", signing.held_back) : tag("good", "signs")]];
  return panel({ id: "key", size: "third", heading: "Keys", body: [h("dl", { class: "facts" }, facts.map(([name, text]) => [h("dt", {}, name), h("dd", {}, text)])),
    h("div", { class: "controls" }, h("button", { type: "button", id: "rotate", onclick: () => typed({ heading: "Rotate the signing key", name: status.name, verb: "Rotate",
      consequence: "From the next entry on the staged key signs; peers learn it from this node's log, nobody has to do anything. The old key can sign nothing more.",
      act: async () => `The new signing key is ${(await send("POST", "/v1/admin/keys/rotate")).signing_key?.slice(0, 16) ?? "in use"}…`, done: show }) }, "Rotate…")),
    h("p", { class: "quiet" }, "Recovery needs the root key, which belongs on no machine that runs: murmur keys recover.")], of: of("keys/signing", "murmur keys show") });
}

/** The charter in force, and what is proposed, as differences. Signing needs a governance key, which no browser holds. */
function deciding(charter) {
  const { trusted, proposals } = charter;
  const state = charter.is_split ? tag("bad", "a vote is split: murmur charter propose --heal") : charter.is_waiting ? tag("warn", "another charter waits for you: murmur charter confirm")
    : tag("good", `charter ${number(trusted.version)} in force until ${day(trusted.expires)}`);
  return panel({ id: "deciding", size: "half", heading: "Deciding together", summary: "Compare fingerprints by another channel before you sign.",
    body: [h("p", {}, state), h("dl", { class: "facts" }, [["Federation", charter.federation], ["Charter", trusted.fingerprint]]
      .map(([name, text]) => [h("dt", {}, name), h("dd", {}, h("code", {}, text))])),
    proposals.length ? proposals.map((one) => h("section", {}, h("h3", {}, `Proposed: version ${number(one.version)}`),
      h("ul", {}, one.changes.map((line) => h("li", {}, h("bdi", { class: "long" }, line)))),
      h("p", {}, `${number(one.approvals)} of ${number(one.needed)} have approved`, one.missing.length ? [", not yet: ", listed(one.missing)] : null),
      h("pre", { tabindex: "0" }, `murmur charter approve --governance-key FILE   # ${one.fingerprint}`)))
      : h("p", { class: "empty" }, "Nothing is proposed. murmur charter propose begins.")], of: of("charter/words", "murmur charter show") });
}

/** Who asks to join. Turning down is done here; approving signs a charter, on a machine that has the key. */
function asking(requests, show) {
  const refuse = (one) => h("button", { type: "button", id: `refuse-${one.node.slice(0, 16)}`, onclick: () => typed({ heading: "Turn a request down", name: one.name, verb: "Turn down",
    consequence: `“${apart(one.name)}” is told that it was refused. It may ask again with a new invitation.`,
    act: async () => { await send("POST", "/v1/admin/joins/refuse", { hash: one.node }); }, done: show }) }, "Turn down…");
  return panel({ id: "asking", size: "half", heading: "Requests to join", summary: "Each node reads its fingerprint to you; approve only what you heard.",
    body: requests.length ? [table("", [["Node", (one) => h("bdi", { class: "long" }, one.name)], ["Of", (one) => h("bdi", { class: "long" }, one.organisation)],
      ["Fingerprint", (one) => h("code", { class: "long" }, one.fingerprint)], [unseen("Turn down"), refuse, "mark"]], requests, { id: "request-rows" }),
    h("pre", { tabindex: "0" }, "murmur federation approve NAME --governance-key FILE")] : h("p", { class: "empty" }, "Nobody asks. murmur federation invite makes a link."), of: of("charter/words", "murmur federation requests") });
}

function keys(tokens, show) {
  const alive = tokens.filter((one) => !one.revoked_at);
  const revoke = (one) => h("button", { type: "button", id: `revoke-${one.id}`, onclick: () => typed({ heading: "Revoke an API key", name: one.id, verb: "Revoke",
    consequence: `“${apart(one.label || one.id)}” (${one.kind}) stops working at once and cannot be brought back.`,
    act: async () => { await send("DELETE", `/v1/admin/tokens/${encodeURIComponent(one.id)}`); }, done: show }) }, "Revoke…");
  const columns = [["Key", (one) => h("code", {}, one.id)], ["For", (one) => one.kind], ["May", (one) => one.scopes.join(", ") || "–"],
    ["Label", (one) => h("bdi", { class: "long" }, one.label || "–")], ["From", (one) => h("span", { class: "long" }, one.origins.join(", ") || "anywhere")],
    ["Since", (one) => day(one.created_at)], ["Until", (one) => (one.expires_at ? day(one.expires_at) : "you revoke it")], [unseen("Revoke"), revoke, "mark"]];
  return panel({ id: "tokens", heading: "API keys", summary: "Kept as hashes: nobody can read one again, this page included.",
    body: [alive.length ? table("", columns, alive, { id: "token-rows" }) : h("p", { class: "empty" }, "No key yet."), make(show)], of: of("tokens", "murmur tokens list") });
}

function make(show) {
  const label = h("input", { id: "token-label", placeholder: "what it is for", maxlength: 60, "aria-label": "Label" });
  const origin = h("input", { id: "token-origin", placeholder: "https://shop.example.org", "aria-label": "Origin, for a key that pages use" });
  const shown = h("p", { id: "token-made", role: "status" });
  let kind = "write";
  const scopes = { write: ["events"], read: [], admin: [] };
  return h("form", { class: "controls", onsubmit: async (event) => {
    event.preventDefault();
    try {
      const made = await send("POST", "/v1/admin/tokens", { kind, scopes: scopes[kind], label: label.value, origins: origin.value ? [origin.value] : [] });
      await show();
      find("#token-made").replaceChildren("Shown once, now: ", h("code", { class: "long" }, made.token));
    } catch (error) {
      shown.textContent = error.message;
    }
  } }, choice("A key to", "kind", [["write", "send events"], ["read", "ask questions"], ["admin", "run this node"]], kind, (value) => { kind = value; }),
  h("label", {}, "Label", label), h("label", {}, "Only from", origin), h("button", { id: "make-token" }, "Make it"), shown);
}

function peersPanel(peers) {
  const state = (one) => (one.refused ? tag("bad", `refused: ${one.refused.code}`) : one.last_success_ms === null ? tag("bad", "silent") : one.in_step ? tag("good", "in step") : tag("warn", "apart"));
  return panel({ id: "peers", size: "half", heading: "Peers", summary: "As this node sees them.",
    body: table("", [["Node", (one) => h("bdi", { class: "long" }, one.name)], ["State", state], ["Heard", (one) => instant(one.last_success_ms)],
      ["Clock", skewText, "number"], ["In", (one) => bytes.format(one.bytes_in), "number"],
      ["Out", (one) => bytes.format(one.bytes_out), "number"]], peers, { id: "peer-rows" }), of: of("mesh/peers", "murmur peers") });
}

function auditPanel(records) {
  return panel({ id: "audit", size: "half", heading: "Audit", summary: "What was done on this node and by whom; each line holds the hash of the one before. murmur audit verify checks it.",
    body: records.length ? table("", [["At", (row) => h("time", {}, instant(row.at * 1000))], ["What", (row) => h("span", { class: "long" }, row.action)],
      ["By", (row) => h("bdi", {}, row.actor)], ["Outcome", (row) => row.outcome]], records.toReversed(), { tall: true, id: "audit-rows", stacks: true }) : h("p", { class: "empty" }, "Nothing yet."),
  of: of("audit?last=100", "murmur audit show") });
}
