// Evidence that a node signed twice at one position: mesh.md 6.10.
import { isEqual, toHex } from "./bytes.mjs";
import { decode } from "./canonical.mjs";
import { parseHeader } from "./entries.mjs";
import { blob, list, signature, tuple } from "./fields.mjs";
import { idOf, messageOf } from "./ids.mjs";
import { isSignature } from "./keys.mjs";
import { demand } from "./refused.mjs";

const MAX_EVIDENCE_BYTES = 4_096;
const SIDE = tuple(blob(400), list(signature, 1, 4));
const proves = (holds, why) => demand(holds, why, "equivocation");

/** `ok` or `behind`, else refused; `logs` are those of a node that holds no other evidence. */
export function verifyEvidence(bytes, logs) {
  const sides = tuple(SIDE, SIDE)(decode(bytes, MAX_EVIDENCE_BYTES), "evidence").map(([headerBytes, signatures]) => ({
    headerBytes, signatures, header: parseHeader(headerBytes), id: idOf("entry", headerBytes),
  }));
  const [first, second] = sides.map(({ header }) => header);
  const log = logs.byAuthor.get(toHex(first.author));
  demand(log !== undefined, "no charter names the author", "not-a-member");
  proves(isEqual(first.author, second.author), "two authors");
  for (const { federation } of [first, second]) proves(isEqual(federation, logs.decided.federation), "another federation");
  proves(first.generation === second.generation && first.seq === second.seq, "two positions");
  proves(Buffer.compare(sides[0].id, sides[1].id) < 0, "not two ids, ascending");
  const isWhole = ({ header, signatures }) => signatures.length === (header.kind === "rotate" ? 2 : 1);
  proves(sides.every(isWhole), "another number of signatures than the kind has");
  if (log.known.size === 0) return "behind";
  for (const side of sides) demand(isByAuthor(side, log), "by no key in force there", "bad-signature");
  return "ok";
}

function isByAuthor({ header, headerBytes, signatures }, log) {
  const message = messageOf("entry", header.federation, header.author, headerBytes);
  return keysFor(header, log).some((key) => isSignature(key, message, signatures[0]));
}

/** In force at the position on any branch known; of a recover, the roots. */
function keysFor({ kind, generation, seq }, log) {
  const known = [...log.known.values()];
  if (kind === "recover") return known[0].keys.roots;
  if (seq === 0) return known.map(({ keys }) => keys.links[0].signingKey);
  const inner = new Set(known.map(({ prev }) => prev));
  const branches = known.filter(({ id }) => !inner.has(id));
  return branches.map(({ keys }) => keys.keyAt({ generation, seq })).filter((key) => key !== null);
}
