// Proof bundles: specs/proofs.md. Checks in its order; a refusal names the part.
import { isEqual, toHex } from "./bytes.mjs";
import { decode } from "./canonical.mjs";
import { parseCharterDocument, verifyFounding } from "./charter.mjs";
import { compile } from "./definitions.mjs";
import { demandParts, demandSigned, parseEntry, parseHeader } from "./entries.mjs";
import { blob, demandVersion, hash, list, oneOf, signature, tuple } from "./fields.mjs";
import { idOf } from "./ids.mjs";
import { verifyInception } from "./inception.mjs";
import { judgeSummary } from "./judgement.mjs";
import { KeyChain, comparePositions } from "./keychain.mjs";
import { Refused, demand, refuse } from "./refused.mjs";
import { parseSummary } from "./summaries.mjs";

const MAX_BUNDLE_BYTES = 16 << 20;
const NOT_GIVEN = "   (not given from elsewhere: agrees with itself only)";
const any = blob(MAX_BUNDLE_BYTES);
const nil = (value) => demand(value === null, "an attestation: this version takes nil only");
const FORM = tuple(
  (value) => value, oneOf("proof"), hash, list(any, 1, 1), any, any, list(any, 0, 65_536), any,
  list(tuple(blob(400), list(signature, 1, 4), any), 0, 65_536), nil,
);

/** What the bundle proves, given the federation id from elsewhere (or only to itself, where it is not given). */
export function verifyProof(bytes, federation = null) {
  const parts = part("form", () => parseForm(bytes));
  demand(federation === null || isEqual(parts.federation, federation), "federation: another id than the one given");
  const charter = part("charter", () => foundedBy(parts));
  const inception = part("inception record", () => verifyInception(parts.inception));
  const member = charter.members.find(({ node }) => isEqual(node, inception.node));
  demand(member !== undefined, "inception record: of a node the charter does not name");
  demand(member.organisation === inception.organisation, "inception record: of another organisation than the member");
  const chain = part("key change", () => chainOf(parts, inception, member));
  const entry = part("entry", () => entryOf(parts, chain));
  const summary = part("entry", () => parseSummary(entry.data, inception.node));
  const definition = part("definition", () => definitionOf(parts, summary));
  const before = part("other summaries", () => othersOf(parts, chain, entry, summary));
  part("judgement", () => judgeSummary({ summary, vector: entry.cells, charter, member, definition, before }));
  return { charter, member, definition, entry, summary, before };
}

function part(name, check) {
  try {
    return check();
  } catch (error) {
    if (error instanceof Refused) refuse(error.code, `${name}: ${error.message}`);
    throw error;
  }
}

function parseForm(bytes) {
  const outer = decode(bytes, MAX_BUNDLE_BYTES);
  demand(Array.isArray(outer) && outer.length >= 1, "no array");
  demandVersion(outer[0]);
  const [, , federation, charters, definition, inception, changes, entry, others] = FORM(outer, "proof");
  return { federation, charters, definition, inception, changes, entry, others };
}

function foundedBy({ charters, federation }) {
  const charter = verifyFounding(parseCharterDocument(charters[0]));
  demand(isEqual(charter.hash, federation), "its id is another than the bundle's federation");
  return charter;
}

function chainOf({ changes, federation }, inception, member) {
  const chain = new KeyChain(inception, federation, member.root === undefined ? [] : [member.root]);
  for (const change of changes.map(parseEntry)) {
    demand(isEqual(change.header.federation, federation), "of another federation");
    chain.follow(change);
  }
  return chain;
}

function entryOf({ entry: bytes, federation }, chain) {
  const entry = parseEntry(bytes);
  demandFromItsNode(entry, federation, chain);
  demand(entry.header.charter_version === 1, "under a charter that is not here");
  return entry;
}

function demandFromItsNode(entry, federation, chain) {
  const { header } = entry;
  demand(header.kind === "summary", "no summary");
  demand(isEqual(header.federation, federation), "of another federation");
  demand(isEqual(header.author, chain.node), "of another node");
  demandSigned(entry, [chain.keyAt(header)]);
}

function definitionOf({ definition }, summary) {
  demand(isEqual(idOf("definition", definition), summary.definition), "not the one the entry names");
  return compile(definition);
}

/** In log order, before the entry, charging the same epoch; each without its cells. */
function othersOf({ others, federation }, chain, entry, summary) {
  const epochs = new Set(summary.charges.map(([epoch]) => epoch));
  let last = null;
  return others.map(([headerBytes, signatures, data]) => {
    const other = { header: parseHeader(headerBytes), headerBytes, signatures, data, cells: null };
    demandParts(other, true);
    demandFromItsNode(other, federation, chain);
    demand(last === null || comparePositions(last, other.header) < 0, "out of order");
    demand(comparePositions(other.header, entry.header) < 0, "not before the entry");
    last = other.header;
    const read = parseSummary(data, chain.node);
    demand(read.charges.some(([epoch]) => epochs.has(epoch)), "charges another epoch");
    return read;
  });
}

/** The lines a person reads. */
export function describe({ charter, member, definition, entry, summary, before }, isGiven) {
  return [
    `release     ${toHex(summary.release)}`,
    `federation  ${toHex(entry.header.federation)}${isGiven ? "" : NOT_GIVEN}`,
    `member      ${member.name} of ${member.organisation}, charter version ${charter.version}`,
    `metric      ${definition.metric}, window ${summary.window}`,
    `charge      ${summary.charges.join("; ")}; ${before.length} earlier summaries of the epoch`,
    "It does not prove that the node bounded, noised or counted honestly; nor that nothing was voided later.",
  ];
}
