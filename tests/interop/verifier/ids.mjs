// Ids, messages to sign, and the two hashes of heads: mesh.md 2.1, 6.4, 6.5.
import { createHash } from "node:crypto";
import { encode } from "./canonical.mjs";
import { join } from "./bytes.mjs";

const sha256 = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash("sha256")).digest();

function part(bytes) {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return join(length, bytes);
}

export function idOf(type, body) {
  return sha256(part(Buffer.from("murmur-id-v1")), part(Buffer.from(type)), part(body));
}

export function messageOf(type, federation, author, body) {
  return join(...[Buffer.from("murmur-sign-v1"), Buffer.from(type), federation, author, body].map(part));
}

/** 6.5, `heads`: what stands for a head under one request. */
export function headTag(nonce, id) {
  return sha256(nonce, id).subarray(0, 8);
}

/** 6.4 */
export function headsDigest(charterVersion, attempt, charterHash, heads) {
  return idOf("heads", encode([charterVersion, attempt, charterHash, heads]));
}
