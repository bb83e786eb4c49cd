// Files whose cases stand in lists that test_verifier.py does not count: every case is computed, agrees, and can disagree.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { checkFile } from "./checks.mjs";
import { Laxness } from "./laxness.mjs";

const LISTS = {
  "keys_in_place.json": ["refused", "signatures_refused"],
};
const read = (file) => JSON.parse(readFileSync(new URL(`../../../specs/vectors/v1/${file}`, import.meta.url)));

for (const [file, lists] of Object.entries(LISTS)) {
  test(`${file}: every case agrees`, () => {
    const vectors = read(file);
    const tally = checkFile(file, vectors, new Laxness());
    assert.deepEqual(tally.disagreements, []);
    assert.equal(tally.cases, lists.reduce((sum, list) => sum + vectors[list].length, 0));
  });
}

test("another code is named", () => {
  const vectors = read("keys_in_place.json");
  for (const list of LISTS["keys_in_place.json"]) for (const one of vectors[list]) one.code = "too-large";
  const tally = checkFile("keys_in_place.json", vectors, new Laxness());
  assert.equal(tally.disagreements.length, tally.cases);
});
