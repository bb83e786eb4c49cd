// Signed objects: `[1, type, body, [signature, …]]`, mesh.md 2.3.
import { decode, encode } from "./canonical.mjs";
import { demandVersion, list, signature } from "./fields.mjs";
import { isBytes } from "./bytes.mjs";
import { messageOf } from "./ids.mjs";
import { demandSignature } from "./keys.mjs";
import { demand } from "./refused.mjs";

/** The form alone: {body, signatures}. Nothing in it is believed yet. */
export function parseObject(bytes, type, maxBytes) {
  const outer = decode(bytes, maxBytes);
  demand(Array.isArray(outer) && outer.length >= 1, `${type}: no array`);
  demandVersion(outer[0]);
  demand(outer.length === 4, `${type}: not four items`);
  demand(outer[1] === type, `${type}: an object of another type`);
  demand(isBytes(outer[2]), `${type}: a body that is no bin`);
  return { body: outer[2], signatures: list(signature, 1, 4)(outer[3], "signatures") };
}

/** One signature a key, in order, none missing and none too many. */
export function demandSignatures({ body, signatures }, type, federation, author, keys) {
  const isAsMany = signatures.length === keys.length;
  demand(isAsMany, `${type}: ${signatures.length} signatures, not ${keys.length}`, "bad-signature");
  const message = messageOf(type, federation, author, body);
  keys.forEach((key, at) => demandSignature(key, message, signatures[at]));
}

export function objectBytes(type, body, signatures) {
  return encode([1, type, body, signatures]);
}
