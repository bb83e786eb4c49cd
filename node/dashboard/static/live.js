// Tells a page that something was released: by the node's event stream where it has one, else by asking each second.
// What is watched is how far each member's log is known; a log that grew is a message that arrived.

import { key } from "./access.js";
import { get, withKey } from "./api.js";
import { peersOf } from "./peers.js";

const POLL_MS = 800; // where no key is asked for, so no allowance is used up
const POLL_KEY_MS = 30_000;
const STREAM = "/v1/live";
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Calls `changed(federationReply, advanced, error)` at once and then whenever a log grew or a peer's state changed, and
 * `heard(nodes, federationReply)` whenever a signed message of these peers has come since the last look.
 */
export async function watch(changed, heard = () => {}) {
  let last = null;
  let wake = () => {};
  stream(() => wake());
  for (;;) {
    if (!document.hidden || last === null) {
      try {
        const reply = await get("/v1/federation");
        const now = signature(reply);
        if (last === null || now.text !== last.text) changed(reply, advanced(last, now), null);
        const spoke = [...now.heard].filter(([node, at]) => at && last?.heard && at !== last.heard.get(node)).map(([node]) => node);
        if (spoke.length) heard(spoke, reply);
        last = now;
      } catch (error) {
        if (last === null || last.text !== error.code) changed(null, [], error);
        last = { text: error.code, seen: last?.seen ?? new Map() };
      }
    }
    await Promise.race([wait(key() ? POLL_KEY_MS : POLL_MS), new Promise((resolve) => { wake = resolve; })]);
  }
}

function signature({ data, metadata }) {
  const seen = new Map(data.members.map((member) => [member.node, member.position]));
  const states = [...peersOf({ data, metadata }).values()].map((peer) => peer.state);
  const heard = new Map(metadata.peers.filter((peer) => peer.state !== "self").map((peer) => [peer.node, peer.last_heard]));
  return { text: JSON.stringify([[...seen], states, data.charter]), seen, heard };
}

/** Members whose log grew, with both positions. */
function advanced(before, now) {
  if (!before) return [];
  const grew = [];
  for (const [node, position] of now.seen) {
    const old = before.seen.get(node);
    if (position && (!old || old.generation !== position.generation || old.seq !== position.seq)) {
      grew.push({ node, from: old ?? null, to: position });
    }
  }
  return grew;
}

/** Reads the node's event stream and calls `heard` for each event; gives up quietly where there is none. */
async function stream(heard) {
  for (;;) {
    try {
      const response = await fetch(STREAM, { headers: withKey({ Accept: "text/event-stream" }) });
      if (!response.ok || !response.headers.get("Content-Type")?.startsWith("text/event-stream")) return;
      const reader = response.body.getReader();
      for (let part = await reader.read(); !part.done; part = await reader.read()) heard();
    } catch { /* the node is away; asking goes on and says so */ }
    await wait(2000);
  }
}
