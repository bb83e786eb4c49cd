// Evidence that a node signed twice at one position: mesh.md 6.10.
import { isEqual, toHex } from "./bytes.mjs";
import { decode } from "./canonical.mjs";
import { parseHeader } from "./entries.mjs";
import { blob, list, signature, tuple } from "./fields.mjs";
import { idOf, messageOf } from "./ids.mjs";
import { isSignature } from "./keys.mjs";
import { demand } from "./refused.mjs";

const MAX_EVIDENCE_BYTES = 4_096;
const MOST_KEYS = 4;
const SIDE = tuple(blob(400), list(signature, 1, 4));
const proves = (holds, why) => demand(holds, why, "equivocation");

/** `ok` or `behind`, else refused; `logs` are those of a node that holds no other evidence. */
export function verifyEvidence(bytes, logs) {
  const sides = tuple(SIDE, SIDE)(decode(bytes, MAX_EVIDENCE_BYTES), "evidence");
  const first = parseHeader(sides[0][0]);
  const log = logs.byAuthor.get(toHex(first.author));
  demand(log !== undefined, "no charter names the author", "not-a-member");
  const second = parseHeader(sides[1][0]);
  const isOnePosition = first.generation === second.generation && first.seq === second.seq;
  const roots = logs.decided.roots(first.author);
  const keys = [first, second].map((header) => keysFor(header, log, roots));
  if (isOnePosition && keys.some((found) => found.length === 0)) return "behind";
  [first, second].forEach((header, at) => demandByAuthor(header, sides[at], keys[at], first.author, logs.decided));
  proves(isOnePosition, "two positions");
  const [id, other] = sides.map(([headerBytes]) => idOf("entry", headerBytes));
  proves(Buffer.compare(id, other) < 0, "not two ids, ascending");
  return "ok";
}

function demandByAuthor(header, [headerBytes, signatures], keys, author, { federation }) {
  proves(isEqual(header.federation, federation), "another federation");
  proves(isEqual(header.author, author), "two authors");
  proves(signatures.length === (header.kind === "rotate" ? 2 : 1), "another number of signatures than the kind has");
  proves(keys.length > 0, "no key to try");
  const message = messageOf("entry", federation, author, headerBytes);
  demand(keys.some((key) => isSignature(key, message, signatures[0])), "by no key that may have signed there", "bad-signature");
}

/** *Keys that may have signed*, the first four: of a recover the roots, else signing keys of its generation from its seq or lower on. */
function keysFor({ kind, generation, seq }, { known }, roots) {
  const chains = [...known.values()].map(({ keys }) => keys);
  if (kind === "recover") return distinct([...[...roots].reverse(), ...chains.map((chain) => chain.roots[0])]);
  const links = chains.flatMap((chain) => chain.links).filter((link) => link.generation === generation && link.seq <= seq);
  return distinct(links.sort((left, right) => right.seq - left.seq).map(({ signingKey }) => signingKey));
}

const distinct = (keys) => [...new Map(keys.map((key) => [toHex(key), key])).values()].slice(0, MOST_KEYS);
