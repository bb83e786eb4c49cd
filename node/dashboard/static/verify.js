// Checks a release in the page, with the browser's own cryptography: that the bytes shown are the bytes signed, that the
// signature is the key's, and that the key is the one the node was born with (specs/mesh.md 2 to 4). It needs a browser
// that knows Ed25519; `murmur verify` checks more (charter, rotations, charges) and trusts no page.

import { maybe } from "./api.js";

const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
const hex = (buffer) => [...new Uint8Array(buffer)].map((one) => one.toString(16).padStart(2, "0")).join("");
const sha256 = async (data) => hex(await crypto.subtle.digest("SHA-256", data));
const text = (word) => new TextEncoder().encode(word);
const BORN = "9601c420"; // a list of six: version 1, then a root key and a signing key of 32 bytes each

export const digest = (data) => sha256(bytes(data));

/** Each part is its length in four bytes and itself. */
function parts(...all) {
  const out = [];
  for (const one of all) out.push(...new Uint8Array(new Uint32Array([one.length]).buffer).reverse(), ...one);
  return Uint8Array.from(out);
}

const objectId = (type, body) => sha256(parts(text("murmur-id-v1"), text(type), body));

const sound = (text) => ({ tone: "good", words: "verified", text });
const bad = (text) => ({ tone: "bad", words: "refused", text });
const open = (text) => ({ tone: "warn", words: "not fully checked", text });

export async function verify(one, reply) {
  const { header, data, signatures } = one.signed;
  if (!globalThis.crypto?.subtle) return open("This page needs https or a loopback address to compute hashes.");
  if (await objectId("entry", bytes(header)) !== one.entry) return bad("the header is not the entry that the list names");
  const dataHash = await objectId("data", bytes(data));
  if (!header.includes(dataHash)) return bad("the data are not the ones that the header was signed over");
  if (!header.includes(one.node)) return bad("the header names another author");
  const key = ((await maybe("/v1/keys"))?.data?.keys ?? []).find((row) => row.node === one.node);
  if (!key) return open("Hashes agree; this node does not show the author's key.");
  if (await objectId("inception", bytes(key.inception)) !== one.node) return bad("the key does not belong to this node's id");
  const born = key.inception.startsWith(BORN) ? key.inception.slice(BORN.length + 64 + 4, BORN.length + 64 + 4 + 64) : null;
  if (born !== key.signing_key) return open("Hashes agree; the key was rotated since: use murmur verify with the proof bundle.");
  let isSigned;
  try {
    const public_ = await crypto.subtle.importKey("raw", bytes(key.signing_key), { name: "Ed25519" }, false, ["verify"]);
    const message = parts(text("murmur-sign-v1"), text("entry"), bytes(reply.data.federation), bytes(one.node), bytes(header));
    isSigned = signatures.length === 1 && await crypto.subtle.verify({ name: "Ed25519" }, public_, bytes(signatures[0]), message);
  } catch {
    return open("Hashes agree; this browser does not know Ed25519.");
  }
  return isSigned ? sound("Header, data and signature agree, and the key is the one this node was born with.") : bad("the signature is not this key's");
}
