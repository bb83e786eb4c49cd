// Releases: exactly what left the nodes, newest first, as it was signed; its cells, its noise, its charge, its bytes.

import { catalogue, maybe } from "../api.js";
import { choice, h, swap, tag } from "../dom.js";
import { counted, label, number, title, windowText } from "../format.js";
import { panel, table } from "../panel.js";
import { file } from "../take.js";
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
    const named = [...new Set((await catalogue()).map((row) => row.metric))].map((name) => [name, title(name)]);
    swap(main, list(rows, listed.metadata, reply, chosen, named), one ? content(one.data, reply) : null);
    return rows[0]?.window ?? null;
  };
}

function list(rows, metadata, reply, chosen, named) {
  const members = (reply?.data.members ?? []).map((member) => [member.node, member.name]);
  const pick = (row) => h("button", { type: "button", class: "pick-row", id: `pick-${row.release.slice(0, 16)}`, "aria-pressed": String(row.release === chosen),
    title: row.release, onclick: () => remember({ release: row.release }) }, h("bdi", {}, title(row.metric)));
  const columns = [["Metric", pick], ["Window", (row) => h("span", { class: "num" }, windowText(row.window))],
    ["Node", (row) => h("bdi", { class: "long" }, row.name)], ["Id", (row) => h("code", {}, row.release.slice(0, 8))]];
  const filters = new URLSearchParams(["metric", "node"].filter((name) => state(name)).map((name) => [name, state(name)])).toString();
  const query = filters ? `?${filters}` : "";
  const next = metadata.next ? new URL(metadata.next, location.origin).searchParams.get("after") : null;
  return panel({ id: "list", size: "half", heading: counted(metadata.total, "release"),
    summary: "Newest window first. These are all that the nodes say about people: no event and no exact count is among them.",
    body: [h("div", { class: "controls" }, choice("Metric", "metric", [["", "every metric"], ...named], state("metric") ?? "",
      (value) => remember({ metric: value || null, after: null, release: null })), choice("Node", "node", [["", "every node"], ...members], state("node") ?? "",
      (value) => remember({ node: value || null, after: null, release: null })),
    next ? h("button", { type: "button", id: "older", onclick: () => remember({ after: next, release: null }) }, "Older") : null,
    state("after") ? h("button", { type: "button", id: "newest", onclick: () => remember({ after: null, release: null }) }, "Newest") : null),
    rows.length ? table("", columns, rows, { tall: true, id: "release-rows" }) : h("p", { class: "empty" }, "Nothing has been released yet.")],
    of: { path: `/v1/releases${query}`, parquet: `/v1/releases.parquet${query}`,
      python: `from node.client import Client\n\nreleases = list(Client("${location.origin}").releases(${[...new URLSearchParams(filters)].map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(", ")}))` } });
}

function content(one, reply) {
  const facts = [["Release", h("code", { class: "long" }, one.release)], ["Metric", title(one.metric)], ["Window", windowText(one.window)],
    ["Node", h("bdi", {}, one.name)], ["People are", `${one.person_key}s`],
    ["Noise", one.blocks.map((block) => `${block.name}: σ = ${number(block.sigma)} (${block.mechanism}) on ${number(block.cells)} cells`).join("; ")],
    ["Charged", one.charges.map((charge, i) => `ρ = ${charge.rho_nano / 1e9} to ${charge.epoch.split("/")[0]}, which then stood at ρ = ${one.total[i].rho_nano / 1e9}`).join("; ")],
    ["Log entry", `${one.signed.generation}.${one.signed.seq}, at ${one.signed.at ?? "an unreadable time"}, charter ${one.signed.charter_version}`],
    ["Size", `${number((one.signed.header.length + one.signed.data.length) / 2)} bytes before the cells`]];
  const axes = [...new Set(one.cells.flatMap((cell) => Object.keys(cell.key)))];
  const cells = table("Every cell as it left: whole numbers with noise, which may be below zero.",
    [...axes.map((axis) => [title(axis), (cell) => h("bdi", {}, label(axis, cell.key[axis] ?? ""))]), ["Block", (cell) => cell.block],
      ["Released", (cell) => number(cell.units), "number"]], one.cells, { tall: true, id: "release-cells" });
  const result = h("div", { id: "verified", "aria-live": "polite" });
  const check = h("button", { type: "button", id: "verify", onclick: () => showVerdict(one, reply, result) }, "Verify in this page");
  return panel({ id: "content", size: "half", heading: "Exactly what was sent",
    body: [h("dl", { class: "facts" }, facts.map(([name, text]) => [h("dt", {}, name), h("dd", {}, text)])),
      h("div", { class: "controls" }, check, file("Proof bundle", `/v1/proofs/${one.release}`, `${one.release.slice(0, 16)}.murmur-proof`, "button")),
      result, cells, h("details", { id: "bytes" }, h("summary", {}, "The signed bytes"),
        h("pre", { tabindex: "0" }, `header     ${one.signed.header}\nsignatures ${one.signed.signatures.join("\n           ")}\ndata       ${one.signed.data}`))],
    of: { path: `/v1/releases/${one.release}`, parquet: `/v1/releases/${one.release}.parquet`, cli: `murmur release show ${one.release.slice(0, 16)}` } });
}

async function showVerdict(one, reply, place) {
  place.replaceChildren(h("span", { class: "quiet" }, "Checking…"));
  const verdict = await verify(one, reply);
  const hash = `SHA-256 of the data: ${(await digest(one.signed.data)).slice(0, 16)}…`;
  place.replaceChildren(h("p", {}, tag(verdict.tone, verdict.words), " ", verdict.text), verdict.steps?.length ? h("ul", { class: "steps" }, [...verdict.steps, hash].map((line) => h("li", {}, line))) : "");
}
