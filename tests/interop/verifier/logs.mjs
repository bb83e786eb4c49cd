// Which line of a log stands: mesh.md 8.3. Entries are known, admitted one by one, and given as
// {id, prev, generation, seq, kind, root}; `root` of a recover: 0 the inception's, then each one a charter named, in order.
//
// No vector covers this: it is the text's word alone. Left out: which branches are shown as proof, and what `range` serves.

/** {line, frozenAt, voids}: the entries that stand, [generation, seq] or null, and the reason of each entry that does not. */
export function lineOf(entries, federation, cut = null) {
  const log = new Log(entries, federation);
  const voids = new Map();
  const isBeyondCut = cut === null ? () => false : log.cutAt(cut);
  const open = entries.filter((entry) => !isBeyondCut(entry));
  for (const entry of entries.filter(isBeyondCut)) voids.set(entry.id, "cut");
  const { line, frozenAt } = new Log(open, federation).walk(cut, voids);
  const isLeft = (entry) => !line.includes(entry) && !voids.has(entry.id); // a recover by an older root, on the line's end
  for (const entry of open.filter(isLeft)) voids.set(entry.id, "recovered");
  return { line, frozenAt, voids };
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

  /** Rule 1: what is neither on the way to the cut nor on a recover of a later generation that stands on it. */
  cutAt({ id, generation }) {
    const last = this.byId.get(id);
    const isReopening = (entry) => entry.kind === "recover" && entry.prev === id && entry.generation > generation;
    const way = new Set(last === undefined ? [] : this.wayTo(last));
    return (entry) => !way.has(entry) && !this.wayTo(entry).some(isReopening);
  }

  walk(cut, voids) {
    const { way, frozenAt } = this.wayOfRecovers();
    const line = [...way];
    this.voidOthers(line, voids, frozenAt === null ? "recovered" : "forked");
    if (frozenAt !== null) return { line, frozenAt };
    return this.goOn(line, cut, voids);
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

  /** Entries off the way are void; those that go on from its end are not judged yet. */
  voidOthers(way, voids, reason) {
    const [standing, end] = [new Set(way), way.at(-1)];
    for (const entry of this.byId.values()) {
      const goesOn = end !== undefined && this.wayTo(entry).includes(end);
      if (!standing.has(entry) && way.length > 0 && !(goesOn && reason === "recovered")) voids.set(entry.id, reason);
    }
  }

  /** Rules 3 and 4, from the end of the way, within one generation. */
  goOn(line, cut, voids) {
    for (;;) {
      const end = line.at(-1) ?? null;
      const generation = end?.generation ?? 0;
      if (end !== null && end.id === cut?.id) return { line, frozenAt: null };
      const next = this.children(end).filter((entry) => entry.generation === generation);
      if (next.length === 0) return { line, frozenAt: null };
      const [standing, others] = this.choose(next);
      this.voidFrom(others, voids, standing === null ? "forked" : "superseded");
      if (standing === null) return { line, frozenAt: [generation, next[0].seq] };
      line.push(standing);
    }
  }

  /** The one that stands and the rest; none where the author is frozen. */
  choose(next) {
    if (next.length === 1) return [next[0], []];
    const rotating = next.filter((entry) => this.isOrGoesOnToRotate(entry));
    if (rotating.length !== 1) return [null, next];
    return [rotating[0], next.filter((entry) => entry !== rotating[0])];
  }

  isOrGoesOnToRotate(entry) {
    return this.below(entry).some(({ kind, generation }) => kind === "rotate" && generation === entry.generation);
  }

  below(entry) {
    return [...this.byId.values()].filter((other) => this.wayTo(other).includes(entry));
  }

  voidFrom(entries, voids, reason) {
    for (const other of entries.flatMap((entry) => this.below(entry))) voids.set(other.id, reason);
  }
}
