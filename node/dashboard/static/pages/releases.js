// Releases: exactly what left the nodes, newest first, as it was signed; its cells, its noise, its charge, its bytes.

import { maybe } from "../api.js";
import { choice, find, h, swap, tag } from "../dom.js";
import { label, number, title, windowText } from "../format.js";
import { panel, save, table } from "../panel.js";
import { remember, state } from "../state.js";
import { digest, verify } from "../verify.js";

export const controls = [];
const PAGE = "50";

export function setup(main) {
  return async ({ reply }) => {
    const filters = Object.fromEntries(["metric", "node", "after"].map((name) => [name, state(name)]).filter(([, value]) => value));
    const listed = await maybe("/v1/releases", { limit: PAGE, ...filters });
    if (listed === null) {
      swap(main, h("p", { class: "empty" }, "This node does not list its releases."));
      return null;
    }
    const rows = listed.data.releases;
    const chosen = state("release") ?? rows[0]?.release;
    const one = chosen ? await maybe(`/v1/releases/${encodeURIComponent(chosen)}`) : null;
    swap(main, list(rows, listed.metadata, reply, chosen), one ? content(one.data, reply) : null);
    return rows[0]?.window ?? null;
  };
}

function list(rows, metadata, reply, chosen) {
  const members = (reply?.data.members ?? []).map((member) => [member.node, member.name]);
  const pick = (row) => h("button", { type: "button", id: `pick-${row.release.slice(0, 16)}`, "aria-pressed": String(row.release === chosen),
    onclick: () => remember({ release: row.release }) }, row.release.slice(0, 10));
  const columns = [["", pick], ["Metric", (row) => h("bdi", {}, title(row.metric))], ["Window", (row) => windowText(row.window)],
    ["Node", (row) => h("bdi", { class: "long" }, row.name)], ["Entry", (row) => number(row.seq), "number"]];
  const next = metadata.next ? new URL(metadata.next, location.origin).searchParams.get("after") : null;
  return panel({ id: "list", size: "half", heading: `${number(metadata.total)} releases count`,
    summary: "Newest window first. These are all that the nodes say about people: no event and no exact count is among them.",
    body: [h("div", { class: "controls" }, choice("Node", "node", [["", "every node"], ...members], state("node") ?? "",
      (value) => remember({ node: value || null, after: null, release: null })),
    next ? h("button", { type: "button", id: "older", onclick: () => remember({ after: next, release: null }) }, "Older") : null,
    state("after") ? h("button", { type: "button", id: "newest", onclick: () => remember({ after: null, release: null }) }, "Newest") : null),
    rows.length ? table("", columns, rows, { tall: true, id: "release-rows" }) : h("p", { class: "empty" }, "Nothing has been released yet.")] });
}

function content(one, reply) {
  const facts = [["Release", h("code", { class: "long" }, one.release)], ["Metric", title(one.metric)], ["Window", windowText(one.window)],
    ["Node", h("bdi", {}, one.name)], ["People are", `${one.person_key}s`],
    ["Noise", one.blocks.map((block) => `${block.name}: σ = ${number(block.sigma)} (${block.mechanism}) on ${number(block.cells)} cells`).join("; ")],
    ["Charged", one.charges.map((charge) => `ρ = ${charge.rho_nano / 1e9} to ${charge.epoch.split("/")[0]}`).join("; ")],
    ["Log entry", `${one.signed.generation}.${one.signed.seq}, at ${one.signed.at ?? "an unreadable time"}, charter ${one.signed.charter_version}`],
    ["Size", `${number((one.signed.header.length + one.signed.data.length) / 2)} bytes before the cells`]];
  const axes = [...new Set(one.cells.flatMap((cell) => Object.keys(cell.key)))];
  const cells = table("Every cell as it left: whole numbers with noise, which may be below zero.",
    [...axes.map((axis) => [title(axis), (cell) => h("bdi", {}, label(axis, cell.key[axis] ?? ""))]), ["Block", (cell) => cell.block],
      ["Released", (cell) => number(cell.units), "number"]], one.cells, { tall: true, id: "release-cells" });
  const result = h("p", { id: "verified", "aria-live": "polite" });
  const check = h("button", { type: "button", id: "verify", onclick: () => showVerdict(one, reply, result) }, "Verify in this page");
  return panel({ id: "content", size: "half", heading: "Exactly what was sent",
    body: [h("dl", { class: "facts" }, facts.map(([name, text]) => [h("dt", {}, name), h("dd", {}, text)])),
      h("div", { class: "controls" }, check, h("a", { class: "button", href: `/v1/proofs/${one.release}` }, "Proof bundle"),
        h("button", { type: "button", onclick: () => save(`${one.release.slice(0, 16)}.json`, JSON.stringify(one, null, 1), "application/json") }, "JSON")),
      result, cells, h("details", { id: "bytes" }, h("summary", {}, "The signed bytes"),
        h("pre", { tabindex: "0" }, `header     ${one.signed.header}\nsignatures ${one.signed.signatures.join("\n           ")}\ndata       ${one.signed.data}`))] });
}

async function showVerdict(one, reply, place) {
  const verdict = await verify(one, reply);
  swap(place, tag(verdict.tone, verdict.words), " ", verdict.text, " ", h("span", { class: "quiet" }, `SHA-256 of the data: ${(await digest(one.signed.data)).slice(0, 16)}…`));
  find("#verify")?.focus();
}
