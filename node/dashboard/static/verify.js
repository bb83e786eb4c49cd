// Checks a release in the page, from its proof bundle, with the browser's own cryptography and the key checks of specs/mesh.md 3:
// that the cells, data and header shown are the ones that were signed, by the key that this node's birth record leads to.
// `murmur verify` checks more (charter, noise, charges) and trusts no page.

import { withKey } from "./api.js";
import { NotCanonical, decode } from "./canonical.js";
import { isSigned } from "./curve.js";

const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
const hex = (buffer) => [...new Uint8Array(buffer)].map((one) => one.toString(16).padStart(2, "0")).join("");
const sha256 = async (data) => hex(await crypto.subtle.digest("SHA-256", data));
const text = (word) => new TextEncoder().encode(word);
const NOBODY = new Uint8Array(32); // federation and author of a birth record

export const digest = (data) => sha256(bytes(data));

/** Each part is its length in four bytes and itself. */
function parts(...all) {
  const out = new Uint8Array(all.reduce((sum, one) => sum + 4 + one.length, 0));
  const view = new DataView(out.buffer);
  let at = 0;
  for (const one of all) {
    view.setUint32(at, one.length);
    out.set(one, at + 4);
    at += 4 + one.length;
  }
  return out;
}

const objectId = (type, body) => sha256(parts(text("murmur-id-v1"), text(type), body));
const signedText = (type, federation, author, body) => parts(text("murmur-sign-v1"), text(type), federation, author, body);
const keyDigest = (key) => sha256(Uint8Array.from([...text("murmur-next-key-v1"), 0, ...key]));

class Refused extends Error {}
const demand = (holds, why) => { if (!holds) throw new Refused(why); };

const sound = (words) => ({ tone: "good", words: "verified", text: words });
const bad = (words) => ({ tone: "bad", words: "refused", text: words });
const open = (words) => ({ tone: "warn", words: "not fully checked", text: words });

/** A verdict on one release as `/v1/releases/{id}` gave it: { tone, words, text, steps }. */
export async function verify(one, reply) {
  if (!globalThis.crypto?.subtle) return open("This page needs https or a loopback address to compute hashes.");
  const response = await fetch(`/v1/proofs/${one.release}`, { headers: withKey({}) });
  if (!response.ok) return open("This node does not give the proof bundle.");
  const steps = [];
  try {
    const [major, kind, federation, , , inception, links, entry] = decode(new Uint8Array(await response.arrayBuffer()));
    demand(major === 1 && kind === "proof" && hex(federation) === reply.data.federation, "the bundle is of another version or federation");
    await checkBytes(one, decode(entry), federation, steps);
    const key = await keyOf(one.node, inception, links, federation, steps);
    const [header, signatures] = decode(entry);
    demand(signatures.length === 1 && await isSigned(key.signing, signatures[0], signedText("entry", federation, bytes(one.node), header)), "the signature is not this key's");
    steps.push("the signature is by that key, which is a sound point of the curve");
  } catch (error) {
    if (error instanceof Refused || error instanceof NotCanonical) return { ...bad(error.message), steps };
    if (error.name === "NotSupportedError" || error.name === "SyntaxError") return { ...open("This browser does not know Ed25519."), steps };
    throw error;
  }
  return { ...sound("What is shown here is what this node signed, with the key its birth record leads to."), steps };
}

/** The entry of the list, its data and its cells are one another's. */
async function checkBytes(one, [header, , data, cells], federation, steps) {
  demand(await objectId("entry", header) === one.entry && hex(header) === one.signed.header, "the header is not the entry that the list names");
  const [, of, author, generation, seq, , , , kind, dataHash, dataSize] = decode(header);
  demand(hex(of) === hex(federation) && hex(author) === one.node, "the header names another author");
  demand(kind === "summary" && generation === one.signed.generation && seq === one.signed.seq, "the header is of another place in the log");
  demand(await objectId("data", data) === hex(dataHash) && data.length === dataSize && hex(data) === one.signed.data, "the data are not the ones that the header was signed over");
  const said = decode(data);
  demand(hex(said.get("release")) === one.release && said.get("window") === one.window, "the data are of another release");
  steps.push("header, data and place in the log agree");
  if (cells === null && !one.cells.length) return;
  demand(cells !== null && await objectId("cells", cells) === hex(said.get("cells_hash")), "the cells are not the ones that were signed");
  const width = cells.length / one.cells.length;
  const view = new DataView(cells.buffer, cells.byteOffset, cells.byteLength);
  const read = { 1: (at) => view.getInt8(at), 2: (at) => view.getInt16(at), 4: (at) => view.getInt32(at), 8: (at) => Number(view.getBigInt64(at)) }[width];
  demand(read && one.cells.every((cell, i) => cell.units === read(i * width)), "the numbers shown are not the ones that were signed");
  steps.push(`each of the ${one.cells.length} numbers shown is the one that was signed`);
}

/** The signing key in force, from the birth record through every rotation; each key and signature is checked. */
async function keyOf(node, record, links, federation, steps) {
  const [major, type, body, signatures] = decode(record);
  demand(major === 1 && type === "inception" && signatures.length === 2 && await objectId("inception", body) === node, "the birth record is not this node's");
  const [version, root, first, next] = decode(body);
  demand(version === 1, "the birth record is of another version");
  const born = signedText("inception", NOBODY, NOBODY, body);
  demand(await isSigned(root, signatures[0], born) && await isSigned(first, signatures[1], born), "the birth record is not signed by its own keys");
  let state = { root, signing: first, next: hex(next), generation: 0, seq: 0 };
  for (const link of links) state = await followed(state, decode(link), node, federation);
  steps.push(links.length ? `the birth record's hash is this node's id, and ${links.length} ${links.length === 1 ? "change" : "changes"} of key lead from it to the key in force`
    : "the birth record's hash is this node's id, and its key is still in force");
  return state;
}

async function followed(state, [header, signatures, data], node, federation) {
  const [, of, author, generation, seq, , , , kind, dataHash] = decode(header);
  demand(hex(of) === hex(federation) && hex(author) === node && await objectId("data", data) === hex(dataHash), "a change of key is another node's");
  const said = decode(data);
  const [signing, next] = [said.get("signing_key"), hex(said.get("next_digest"))];
  const by = (key, i) => isSigned(key, signatures[i] ?? new Uint8Array(), signedText("entry", federation, bytes(node), header));
  if (kind === "rotate") {
    demand(generation === state.generation && seq > state.seq && await keyDigest(signing) === state.next, "a rotation is not the one that was committed to");
    demand(signatures.length === 2 && await by(state.signing, 0) && await by(signing, 1), "a rotation is not signed by the old key and the new one");
  } else {
    demand(kind === "recover" && generation > state.generation && signatures.length === 1 && await by(state.root, 0),
      "a recovery is not signed by the root key of the birth record (a charter may name another: murmur verify follows that)");
  }
  return { ...state, signing, next, generation, seq };
}
