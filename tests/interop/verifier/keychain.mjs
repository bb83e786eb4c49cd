// A node's key chain: its inception record, then every `rotate` and `recover` that stands in its log. mesh.md 4.3, 5.3.
import { isEqual } from "./bytes.mjs";
import { demandSigned, parseData } from "./entries.mjs";
import { isCommitted } from "./keys.mjs";
import { Refused, demand, refuse } from "./refused.mjs";

/** `roots`: those that charters named, oldest first. `follow` takes parsed entries, in the order of the log. */
export class KeyChain {
  constructor(inception, federation, roots = []) {
    this.node = inception.node;
    this.federation = federation;
    this.roots = [inception.rootKey, ...roots];
    const { signingKey, nextDigest } = inception;
    this.links = [{ generation: 0, seq: 0, signingKey, nextDigest, rank: 0 }];
  }

  /** Another chain that goes on from the last link of this one. */
  branch() {
    return Object.assign(Object.create(KeyChain.prototype), { ...this, links: [...this.links] });
  }

  follow(entry) {
    const { header } = entry;
    demand(["rotate", "recover"].includes(header.kind), "a link of another kind");
    demand(isEqual(header.federation, this.federation), "a link of another federation");
    demand(isEqual(header.author, this.node), "a link of another node");
    const { signing_key: signingKey, next_digest: nextDigest } = parseData(header.kind, entry.data, header.author);
    const last = this.links.at(-1);
    const rank = header.kind === "rotate" ? this.rotated(entry, last, signingKey) : this.recovered(entry, last);
    const { generation, seq } = header;
    this.links.push({ generation, seq, signingKey, nextDigest, rank, id: entry.id });
  }

  /** M-KEY-7. A rotation leaves the rank of the root as it is. */
  rotated(entry, last, signingKey) {
    const { generation, seq } = entry.header;
    demand(generation === last.generation && seq > last.seq, "a rotation lies later in the same generation");
    demand(isCommitted(signingKey, last.nextDigest), "not the key that was committed to", "bad-key");
    demandSigned(entry, [last.signingKey, signingKey]);
    return last.rank;
  }

  /** M-KEY-8: the rank of the newest root that fits, not older than that of the recovery before. */
  recovered(entry, last) {
    const { generation, seq } = entry.header;
    demand(generation > last.generation && seq >= 1, "a recovery opens a later generation");
    for (let rank = this.roots.length - 1; rank >= last.rank; rank--) {
      if (failureOf(() => demandSigned(entry, [this.roots[rank]])) === null) return rank;
    }
    return refuse("bad-signature", "by no root of the node that may still recover it");
  }

  /** The key in force after the last change of a lower seq, whose generation is this one (proofs.md 2.1); else null. */
  keyAt({ generation, seq }) {
    const last = this.links.filter((link) => link.seq < seq).at(-1);
    return last?.generation === generation ? last.signingKey : null;
  }
}

function failureOf(check) {
  try {
    check();
    return null;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return error;
  }
}
