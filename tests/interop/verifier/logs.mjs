// Which line of a log stands: mesh.md 8.3. Entries are known, admitted one by one, and given as
// {id, prev, generation, seq, kind, root}; `root` of a recover: 0 the inception's, then each one a charter named, in order.
//
// Left out: which branches are shown as proof, and what `range` serves.

/** {line, frozenAt, voids}: the entries that stand, [generation, seq] or null, and the reason of each entry that does not. */
export function lineOf(entries, federation, cut = null) {
  const log = new Log(entries, federation);
  const { line, frozenAt } = log.within(cut);
  const voids = new Map();
  const standing = new Set(line);
  const lastRecover = line.filter(({ kind }) => kind === "recover").at(-1)?.seq ?? -1;
  for (const entry of entries.filter((one) => !standing.has(one))) {
    const leaves = log.wayTo(entry).find((one) => !standing.has(one)).seq;
    voids.set(entry.id, reasonOf(leaves, cut, lastRecover, frozenAt));
  }
  return { line, frozenAt, voids };
}

/** M-LINE-7: from the seq at which a branch leaves what stands. */
function reasonOf(leaves, cut, lastRecover, frozenAt) {
  if (cut !== null && leaves <= cut.seq + 1) return "cut";
  if (leaves <= lastRecover) return "recovered";
  return frozenAt !== null && leaves >= frozenAt[1] ? "forked" : "superseded";
}

class Log {
  constructor(entries, federation) {
    this.federation = federation;
    this.byId = new Map(entries.map((entry) => [entry.id, entry]));
    this.after = new Map();
    for (const entry of entries) this.after.set(entry.prev, [...(this.after.get(entry.prev) ?? []), entry]);
  }

  children(entry) {
    return this.after.get(entry === null ? this.federation : entry.id) ?? [];
  }

  /** From the first entry to this one. */
  wayTo(entry) {
    const way = [];
    for (let at = entry; at !== undefined; at = this.byId.get(at.prev)) way.unshift(at);
    return way;
  }

  below(entry) {
    return [entry, ...this.children(entry).flatMap((one) => this.below(one))];
  }

  /** Rule 1, and the others inside it. */
  within(cut) {
    if (cut === null) return this.walk();
    const last = this.byId.get(cut.id);
    if (last === undefined) return cutShort(this.walk(), cut.seq);
    const isReopening = (entry) => entry.kind === "recover" && entry.generation > last.generation;
    const beyond = this.children(last).filter(isReopening).flatMap((one) => this.below(one));
    return new Log([...this.wayTo(last), ...beyond], this.federation).walk();
  }

  walk() {
    const { way, frozenAt } = this.wayOfRecovers();
    return frozenAt === null ? this.goOn([...way]) : { line: way, frozenAt };
  }

  /** Rule 2: by the newest root, then the highest generation; two such freeze where the ways to them part. */
  wayOfRecovers() {
    const recovers = [...this.byId.values()].filter(({ kind }) => kind === "recover");
    const isBetter = (one, other) => one.root > other.root || (one.root === other.root && one.generation > other.generation);
    const best = recovers.filter((one) => !recovers.some((other) => isBetter(other, one)));
    if (best.length === 0) return { way: [], frozenAt: null };
    const ways = best.map((one) => this.wayTo(one));
    const parts = ways[0].findIndex((entry, at) => ways.some((way) => way[at] !== entry));
    if (parts < 0) return { way: ways[0], frozenAt: null };
    return { way: ways[0].slice(0, parts), frozenAt: [best[0].generation, parts] }; // seq is the place in the line
  }

  /** Rules 3 and 4, from the end of the way, within one generation. */
  goOn(line) {
    for (;;) {
      const end = line.at(-1) ?? null;
      const generation = end?.generation ?? 0;
      const next = this.children(end).filter((entry) => entry.generation === generation);
      if (next.length === 0) return { line, frozenAt: null };
      const rotating = next.length === 1 ? next : next.filter((entry) => this.isOrGoesOnToRotate(entry));
      if (rotating.length !== 1) return { line, frozenAt: [generation, next[0].seq] };
      line.push(rotating[0]);
    }
  }

  isOrGoesOnToRotate(entry) {
    return this.below(entry).some(({ kind, generation }) => kind === "rotate" && generation === entry.generation);
  }
}

/** What stands below a cut whose entry is not known. */
function cutShort({ line, frozenAt }, seq) {
  const isFrozen = frozenAt !== null && frozenAt[1] < seq;
  return { line: line.filter((entry) => entry.seq < seq), frozenAt: isFrozen ? frozenAt : null };
}
