// Every check can disagree: expectations that are changed are named, and no other.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { checkFile } from "./checks.mjs";
import { Laxness } from "./laxness.mjs";

const read = (file) => JSON.parse(readFileSync(new URL(`../../../specs/vectors/v1/${file}`, import.meta.url)));

test("another code is named", () => {
  const vectors = read("keys_in_place.json");
  for (const list of ["refused", "signatures_refused"]) for (const one of vectors[list]) one.code = "too-large";
  const tally = checkFile("keys_in_place.json", vectors, new Laxness());
  assert.equal(tally.disagreements.length, tally.cases);
});

/** Of each file one expectation is another: that case alone is named. */
const CHANGES = {
  "admission.json": (one) => ({ ...one, decision: one.decision === "extends" ? "beside" : "extends" }),
  "evidence.json": (one) => ({ ...one, verdict: one.verdict === "ok" ? "behind" : "ok" }),
  "judgement.json": (one) => ({ ...one, states: turned(one.states) }),
  "lines.json": (one) => ({ ...one, states: turned(one.states) }),
};
const LATER = {
  "answer_proofs.json": (one) => ({ ...one, others: one.others + 1 }),
  "answers_later.json": (one) => ({ ...one, answer: one.answer.replace('"version":', '"version":9') }),
  "answers.json": (one) => ({ ...one, answer: one.answer.replace('"version":', '"version":9') }),
  "badges.json": (one) => ({ ...one, answer: one.answer.replace('"sigma":"', '"sigma":"9').replace('"total":null', '"total":0') }),
  "key_chains.json": (one) => ({ ...one, next_digest: one.signing_key }),
  "proofs.json": (one) => ({ ...one, cap: one.cap + 1 }),
};
const turned = (states) => {
  const [label, state] = Object.entries(states).at(-1);
  return { ...states, [label]: state === "counted" ? "opaque" : "counted" };
};

for (const [file, change] of Object.entries(CHANGES)) {
  test(`${file}: another expectation is named`, () => {
    const vectors = read(file);
    const cases = vectors.cases.filter((_, at) => at % 7 === 0).map(change);
    const tally = checkFile(file, { ...vectors, cases }, new Laxness());
    assert.equal(tally.disagreements.length, cases.length);
  });
}

for (const [file, change] of Object.entries(LATER)) {
  test(`${file}: another expectation is named, in accepted cases and in refused ones`, () => {
    const vectors = read(file);
    const accepted = vectors.accepted.filter((_, at) => at % 5 === 0).map(change);
    const refused = vectors.refused.filter((_, at) => at % 9 === 1).map((one) => ({ ...one, code: "another", part: "another" }));
    const tally = checkFile(file, { ...vectors, accepted, refused }, new Laxness());
    assert.equal(tally.disagreements.length, accepted.length + refused.length);
  });
}
