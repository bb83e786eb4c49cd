// How this node hears of the others. One late answer on a busy machine is no news: silence of some seconds is.

const PATIENCE_MS = 6_000;

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
