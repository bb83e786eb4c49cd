// Which line stands, by mesh.md 8.3. Entries are written `id<prev kind generation`, seq follows from prev.
import assert from "node:assert/strict";
import { test } from "node:test";
import { lineOf } from "./logs.mjs";

function logOf(text) {
  const seqs = new Map([["F", -1]]);
  return text.trim().split(/\s*;\s*/).map((one) => {
    const [, id, prev, kind, generation, root] = /^(\w+)<(\w+) ?(\w+)? ?(\d+)? ?(\d+)?$/.exec(one);
    seqs.set(id, seqs.get(prev) + 1);
    const numbers = { generation: Number(generation ?? 0), seq: seqs.get(id), root: Number(root ?? 0) };
    return { id, prev, kind: kind ?? "summary", ...numbers };
  });
}

function stands(text, line, frozenAt = null, voids = {}, cut = null) {
  for (const entries of [logOf(text), logOf(text).reverse()]) {
    const found = lineOf(entries, "F", cut);
    assert.equal(found.line.map(({ id }) => id).join(""), line);
    assert.deepEqual(found.frozenAt, frozenAt);
    assert.deepEqual(Object.fromEntries([...found.voids].sort()), voids);
  }
}

test("one line stands", () => stands("a<F; b<a; c<b rotate; d<c", "abcd"));
test("rule 4: two branches freeze", () => stands("a<F; b<a; c<a; d<c", "a", [0, 1], { b: "forked", c: "forked", d: "forked" }));
test("rule 3: the one that goes on to a rotate stands", () => {
  stands("a<F; b<a; c<a; d<c rotate; e<d", "acde", null, { b: "superseded" });
});
test("rule 4: two that go on to a rotate freeze", () => {
  stands("a<F; b<a rotate; c<a; d<c rotate", "a", [0, 1], { b: "forked", c: "forked", d: "forked" });
});
test("rule 2: the way to the recover stands, a fork off it is void", () => {
  stands("a<F; b<a; c<a; d<b recover 1; e<d summary 1", "abde", null, { c: "recovered" });
});
test("rule 2: the highest generation stands", () => {
  stands("a<F; b<a; c<b recover 1; d<c summary 1; e<b recover 3", "abe", null, { c: "recovered", d: "recovered" });
});
test("rule 2: two of the highest generation freeze where the ways part", () => {
  stands("a<F; b<a; c<b; d<a recover 1; e<b recover 1", "a", [1, 1], {
    b: "forked", c: "forked", d: "forked", e: "forked",
  });
});
test("rule 2: a root the charter names stands before an older one", () => {
  stands("a<F; b<a recover 5 0; c<a recover 1 1", "ac", null, { b: "recovered" });
});
test("rule 1: beyond a cut nothing stands but a recover on it", () => {
  const cut = { id: "b", generation: 0, seq: 1 };
  stands("a<F; b<a; c<b; d<a recover 1", "ab", null, { c: "cut", d: "cut" }, cut);
  stands("a<F; b<a; c<b; d<b recover 1; e<d summary 1", "abde", null, { c: "cut" }, cut);
});
