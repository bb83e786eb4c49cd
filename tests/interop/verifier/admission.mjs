// Whether an entry may stand in its author's log: mesh.md 8.2.
import { isEqual, toHex } from "./bytes.mjs";
import { demandSigned } from "./entries.mjs";
import { verifyInception } from "./inception.mjs";
import { KeyChain } from "./keychain.mjs";
import { lineOf } from "./logs.mjs";
import { Refused, demand, refuse } from "./refused.mjs";

/** The log of each author under one chain of charters (`Decided`). */
export class Logs {
  constructor(decided) {
    this.decided = decided;
    this.byAuthor = new Map(decided.authors().map((author) => [author, new AuthorLog(decided, author)]));
  }

  /** A parsed entry (8.2 rule 1 is its form): `extends`, `beside`, `have`, `superseded` or `behind`; else refused. */
  admit(entry, isAskedFor = false) {
    const log = this.byAuthor.get(toHex(entry.header.author));
    demand(log !== undefined, "no charter names the author", "not-a-member");
    demand(isEqual(entry.header.federation, this.decided.federation), "another federation", "wrong-federation");
    return log.admit(entry, isAskedFor);
  }

  /** [generation, seq] of the last good entry of this author, null for none (6.4). */
  headOf(author) {
    const last = this.byAuthor.get(toHex(author)).head();
    return last === undefined ? null : [last.generation, last.seq];
  }
}

export class AuthorLog {
  constructor(decided, author) {
    this.decided = decided;
    this.node = Buffer.from(author, "hex");
    this.federation = toHex(decided.federation);
    this.cut = decided.cut(this.node);
    this.known = new Map(); // id to what lineOf reads, with `keys` in force after it and the `entry`
    this.stand();
  }

  stand() {
    Object.assign(this, lineOf([...this.known.values()], this.federation, this.cut));
  }

  /** The last entry that stands; a recover on a cut, too (lines.json). */
  head() {
    return this.line.at(-1);
  }

  admit(entry, isAskedFor) {
    const { generation, seq, kind, prev } = entry.header;
    const isFirst = generation === 0 && seq === 0;
    demand(kind === "inception" ? isFirst : seq > 0, "inception at (0, 0), and nothing else at seq 0", "inception-misplaced");
    const id = toHex(entry.id);
    if (this.known.has(id)) return "have";
    const before = seq === 0 ? null : this.known.get(toHex(prev));
    if (before !== null && before?.seq !== seq - 1) return this.behind(generation, seq);
    const keys = before === null ? this.born(entry) : this.followed(entry, before);
    const isOnCut = before !== null && before.id === this.cut?.id;
    demand(!isOnCut || kind === "recover", "on the entry of a cut", "cut");
    const root = kind === "recover" ? keys.links.at(-1).rank : 0;
    return this.place({ id, prev: toHex(prev), generation, seq, kind, root, keys, entry }, isAskedFor);
  }

  /** Rule 6, where there is nothing to stand on. */
  behind(generation, seq) {
    const last = this.line.at(-1);
    const isBehind = this.known.size === 0 || this.frozenAt !== null || seq > (last?.seq ?? -1) + 1
      || generation > (last?.generation ?? 0);
    return isBehind ? "behind" : refuse("prev-mismatch", "stands on an entry that is not known at the seq before");
  }

  /** Rule 5. */
  born(entry) {
    const { data, header } = entry;
    const inception = orCode("bad-inception", () => verifyInception(data));
    demand(isEqual(inception.node, header.author), "another node's record", "bad-inception");
    demandSigned(entry, [inception.signingKey]);
    demand(isEqual(header.prev, header.federation), "does not stand on the federation id", "prev-mismatch");
    return new KeyChain(inception, header.federation, this.decided.roots(this.node));
  }

  /** Rule 7: the keys in force after the entry. */
  followed(entry, before) {
    const { kind, generation } = entry.header;
    if (kind === "rotate" || kind === "recover") {
      const keys = before.keys.branch();
      keys.follow(entry);
      return keys;
    }
    demand(generation === before.generation, "another generation than the entry before");
    demandSigned(entry, [before.keys.links.at(-1).signingKey]);
    return before.keys;
  }

  place(one, isAskedFor) {
    const [line, frozenAt] = [this.line, this.frozenAt];
    this.known.set(one.id, one);
    this.stand();
    if (frozenAt === null && this.line.length === line.length + 1 && this.line.at(-1) === one) return "extends";
    if (isAskedFor || !this.isSuperseded(one)) return "beside";
    this.known.delete(one.id);
    this.stand();
    return "superseded";
  }

  /** M-ADM-9, *since*: the line's last link stands at the entry's position or later, and later than the last one of its branch. */
  isSuperseded(one) {
    if (one.kind === "rotate" || one.kind === "recover" || this.line.includes(one)) return false;
    if (this.frozenAt !== null) return false;
    const link = this.line.at(-1).keys.links.at(-1);
    return comparePositions(link, one) >= 0 && comparePositions(link, one.keys.links.at(-1)) > 0;
  }
}

const comparePositions = (left, right) => left.generation - right.generation || left.seq - right.seq;

function orCode(code, read) {
  try {
    return read();
  } catch (error) {
    if (error instanceof Refused) refuse(code, error.message);
    throw error;
  }
}
