// How this node hears of the others. One late answer on a busy machine is no news: silence of some seconds is.

import { tag } from "./dom.js";
import { number } from "./format.js";

const PATIENCE_MS = 6_000;
const SKEWED_MS = 120_000; // windows do not close while two peers' clocks are further off than this

/** How far a peer's clock is from this node's, as last seen. */
export function skewText({ skew_ms: skew = null }) {
  if (skew === null) return "–";
  if (Math.abs(skew) < 1000) return "under 1 s";
  const words = `${number(Math.round(skew / 1000))} s`;
  return Math.abs(skew) > SKEWED_MS ? tag("warn", words) : words;
}

/** Peers by node id; one that was heard of just now counts as in touch. */
export function peersOf(reply) {
  const peers = reply?.metadata.peers ?? [];
  const now = Date.parse(peers.find((peer) => peer.state === "self")?.last_heard ?? "") || Date.now();
  const isFresh = (peer) => peer.last_heard && now - Date.parse(peer.last_heard) < PATIENCE_MS;
  return new Map(peers.map((peer) => [peer.node,
    ["late", "unreachable"].includes(peer.state) && isFresh(peer) ? { ...peer, state: "ok" } : peer]));
}

/** Members that this node does not hear of. */
export function silent(reply) {
  const peers = peersOf(reply);
  return (reply?.data.members ?? []).filter((member) => ["late", "unreachable"].includes(peers.get(member.node)?.state));
}
