// Where Node's own verifier is laxer than mesh.md 3.3, beyond the vectors: every key of small order, in every encoding of it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fromHex } from "./bytes.mjs";
import { isGoodForNode, isSignature, isSignatureByHand } from "./keys.mjs";

const { refused } = JSON.parse(readFileSync(new URL("../../../specs/vectors/v1/keys.json", import.meta.url)));
const FORGED = Buffer.concat([Buffer.of(1), Buffer.alloc(63)]); // R the identity, S zero: good wherever k·A is the identity
const MESSAGES = [...Array(64).keys()].map((number) => Buffer.from(`message ${number}`));
const FEW = MESSAGES.slice(0, 8); // ours refuse by key and R, whatever the message
const taken = (verify, key, messages = MESSAGES) => messages.filter((message) => verify(key, message, FORGED)).length;

test("Node takes forged signatures under each of the eight points, about one message in its order; we take none", () => {
  const eight = refused.filter(({ name }) => name.startsWith("small order"));
  assert.equal(eight.length, 8);
  for (const { key } of eight) {
    assert.ok(taken(isGoodForNode, fromHex(key)) > 0);
    assert.equal(taken(isSignature, fromHex(key), FEW), 0);
    assert.equal(taken(isSignatureByHand, fromHex(key), FEW), 0);
  }
});

test("Node takes them under six non-canonical encodings of these points, too; we take none", () => {
  const others = refused.filter(({ name }) => name.startsWith("non-canonical")).map(({ key }) => fromHex(key));
  assert.equal(others.filter((key) => taken(isGoodForNode, key) > 0).length, 6);
  assert.equal(others.filter((key) => taken(isSignature, key, FEW) > 0).length, 0);
});
