// A node's key chain: its inception record, then every `rotate` and `recover` that stands in its log. mesh.md 4.3, 5.3.
import { isEqual } from "./bytes.mjs";
import { demandSigned, parseData } from "./entries.mjs";
import { isCommitted } from "./keys.mjs";
import { demand } from "./refused.mjs";

/** Positions order by (generation, seq). */
export const comparePositions = (left, right) => left.generation - right.generation || left.seq - right.seq;

/** `roots`: the inception's and each one a charter named. `changes`: parsed entries, in the order of the log. */
export class KeyChain {
  constructor(inception, roots = []) {
    this.node = inception.node;
    this.roots = [inception.rootKey, ...roots];
    const { signingKey, nextDigest } = inception;
    this.links = [{ generation: 0, seq: 0, signingKey, nextDigest }];
  }

  follow(entry) {
    const { header } = entry;
    demand(["rotate", "recover"].includes(header.kind), "a link of another kind");
    demand(isEqual(header.author, this.node), "a link of another node");
    const { signing_key: signingKey, next_digest: nextDigest } = parseData(header.kind, entry.data, header.author);
    const last = this.links.at(-1);
    if (header.kind === "rotate") this.demandRotation(entry, last, signingKey);
    else this.demandRecovery(entry, last);
    this.links.push({ generation: header.generation, seq: header.seq, signingKey, nextDigest, id: entry.id });
  }

  demandRotation(entry, last, signingKey) {
    const { generation, seq } = entry.header;
    demand(generation === last.generation && seq > last.seq, "a rotation lies later in the same generation");
    demand(isCommitted(signingKey, last.nextDigest), "not the key that was committed to", "bad-key");
    demandSigned(entry, [last.signingKey, signingKey]);
  }

  /** By the newest root that verifies; charters may have named several (charter.md 3.8). */
  demandRecovery(entry, last) {
    demand(entry.header.generation > last.generation, "a recovery opens a later generation");
    const failures = this.roots.map((root) => failureOf(() => demandSigned(entry, [root])));
    if (failures.every((failure) => failure !== null)) throw failures.at(-1);
  }

  /** The key that signs what stands after the links before this position. */
  keyAt({ generation, seq }) {
    return this.links.filter((link) => link.generation <= generation && link.seq < seq).at(-1)?.signingKey ?? null;
  }
}

function failureOf(check) {
  try {
    check();
    return null;
  } catch (error) {
    return error;
  }
}
