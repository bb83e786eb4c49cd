// Inception records: mesh.md 4.1. The node id is the id of the body.
import { ZEROS, isEqual } from "./bytes.mjs";
import { decode } from "./canonical.mjs";
import { bin, demandVersion, hash, name, publicKey, tuple } from "./fields.mjs";
import { idOf } from "./ids.mjs";
import { isCommitted } from "./keys.mjs";
import { demandSignatures, parseObject } from "./objects.mjs";
import { demand } from "./refused.mjs";

export const MAX_INCEPTION_BYTES = 1_024;
const body = tuple(demandVersion1, publicKey, publicKey, hash, name, bin(16));

export function verifyInception(bytes) {
  const signed = parseObject(bytes, "inception", MAX_INCEPTION_BYTES);
  const record = parseBody(signed.body);
  demandSignatures(signed, "inception", ZEROS, ZEROS, [record.rootKey, record.signingKey]);
  return { ...record, node: idOf("inception", signed.body) };
}

function parseBody(bytes) {
  const items = decode(bytes, MAX_INCEPTION_BYTES);
  demand(Array.isArray(items) && items.length >= 1, "inception: no array");
  demandVersion(items[0]); // before anything else is looked at (1.6)
  const [, rootKey, signingKey, nextDigest, organisation, nonce] = body(items, "inception");
  demand(!isEqual(rootKey, signingKey), "root and signing key are one");
  demand(!isCommitted(rootKey, nextDigest) && !isCommitted(signingKey, nextDigest), "the next key is one of the two");
  return { rootKey, signingKey, nextDigest, organisation, nonce };
}

function demandVersion1(value) {
  return demandVersion(value);
}
