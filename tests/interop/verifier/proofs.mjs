// Proof bundles of one release: specs/proofs.md 1 and 2. Checks in its order; a refusal names the part.
import { isEqual, toHex } from "./bytes.mjs";
import { decode } from "./canonical.mjs";
import { readCells } from "./cells.mjs";
import { Decided } from "./chains.mjs";
import { compile } from "./definitions.mjs";
import { demandParts, demandSigned, parseEntry, parseHeader } from "./entries.mjs";
import { blob, demandVersion, hash, list, oneOf, signature, tuple } from "./fields.mjs";
import { idOf } from "./ids.mjs";
import { verifyInception } from "./inception.mjs";
import { judgeSummary } from "./judgement.mjs";
import { KeyChain } from "./keychain.mjs";
import { Ledger } from "./ledger.mjs";
import { Refused, demand, refuse } from "./refused.mjs";
import { verifyChain } from "./successions.mjs";
import { parseSummary } from "./summaries.mjs";
import { parseWindow } from "./windows.mjs";

const MAX_BUNDLE_BYTES = 16 << 20;
const NOT_GIVEN = "   (not given from elsewhere: agrees with itself only)";
const PARTS = 10;
const any = blob(MAX_BUNDLE_BYTES);
const CHARTERS = list(any, 1, 1_000);
const CHANGES = list(any, 0, 64);
const OTHERS = list(tuple(blob(400), list(signature, 1, 1), any), 0, 10_000);

/** What the bundle proves, given the federation id from elsewhere (or only to itself, where it is not given). */
export function verifyProof(bytes, given = null) {
  const parts = part("form", () => parseForm(bytes));
  const federation = part("federation id", () => federationOf(parts, given));
  const decided = part("charter", () => chainOf(parts, federation));
  const entry = part("entry", () => parseEntry(any(parts.entry, "entry")));
  const inception = part("inception record", () => verifyInception(any(parts.inception, "inception")));
  const member = decided.member(inception.node);
  part("inception record", () => demand(member !== undefined, "of a node the last charter does not name"));
  const [chain, changes] = part("key chain", () => keysOf(parts, inception, federation, decided));
  part("entry", () => demandFromItsNode(entry.header, federation, chain));
  part("entry's signature", () => demandInForce(entry, chain));
  const definition = part("definition", () => compile(any(parts.definition, "definition")));
  const summary = part("entry", () => summaryOf(entry, chain));
  part("definition", () => demand(isEqual(idOf("definition", parts.definition), summary.definition), "another one"));
  const others = part("other summaries", () => othersOf(parts, chain, entry, summary));
  const ledger = new Ledger((epoch) => decided.capOf(epoch));
  part("other summaries", () => others.forEach((other) => demandCharged(ledger.add(other.summary))));
  part("entry", () => {
    demandStanding(entry, changes, others, decided);
    const charged = ledger.add(summary);
    judgeSummary({ summary, vector: entry.cells, charter: decided.tip, member, definition, charged });
  });
  const cells = entry.cells === null ? [] : readCells(entry.cells, summary.cellCount);
  const [[epoch]] = summary.charges;
  const [cap] = decided.capOf(parseWindow(epoch));
  const before = others.map((other) => other.summary);
  return { charter: decided.tip, member, definition, entry, summary, cells, cap, before };
}

/** A refusal names its part, in words and as a field. */
function part(name, check) {
  try {
    return check();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    const { code } = error;
    throw Object.assign(new Refused(code, `${name}: ${error.message.slice(code.length + 2)}`), { part: name });
  }
}

function parseForm(bytes) {
  const outer = decode(bytes, MAX_BUNDLE_BYTES);
  demand(Array.isArray(outer) && outer.length >= 1, "no array");
  demandVersion(outer[0]);
  demand(outer.length === PARTS, "not ten parts");
  const [, word, federation, charters, definition, inception, changes, entry, others, attestation] = outer;
  oneOf("proof")(word, "form");
  demand(attestation === null, "an attestation: this version takes nil only");
  return { federation, charters, definition, inception, changes, entry, others };
}

function federationOf({ federation }, given) {
  hash(federation, "federation");
  demand(given === null || isEqual(federation, given), "another id than the one given");
  return federation;
}

function chainOf({ charters }, federation) {
  const verified = verifyChain(CHARTERS(charters, "charters"));
  demand(isEqual(verified.federation, federation), "its first has another hash than the federation id");
  return new Decided(verified);
}

function keysOf({ changes: documents }, inception, federation, decided) {
  const chain = new KeyChain(inception, federation, decided.roots(inception.node));
  const changes = CHANGES(documents, "key changes").map(parseEntry);
  for (const change of changes) chain.follow(change);
  return [chain, changes];
}

function demandFromItsNode(header, federation, chain) {
  demand(isEqual(header.federation, federation), "of another federation");
  demand(isEqual(header.author, chain.node), "of another node");
}

function demandInForce(entry, chain) {
  const key = chain.keyAt(entry.header);
  demand(key !== null, "no key in force at its position", "bad-signature");
  demandSigned(entry, [key]);
}

function summaryOf({ header, data }, chain) {
  demand(header.kind === "summary", "no summary");
  return parseSummary(data, chain.node);
}

/** In log order, before the entry, charging the same epoch; each without its cells. */
function othersOf({ others }, chain, entry, summary) {
  const epochs = new Set(summary.charges.map(([epoch]) => epoch));
  let last = -1;
  return OTHERS(others, "other summaries").map(([headerBytes, signatures, data]) => {
    const other = { header: parseHeader(headerBytes), headerBytes, signatures, data, cells: null };
    const { seq } = other.header;
    demandFromItsNode(other.header, chain.federation, chain);
    demand(seq > last && seq < entry.header.seq, "out of order");
    last = seq;
    demandParts(other, true);
    demandInForce(other, chain);
    const read = summaryOf(other, chain);
    demand(read.charges.some(([epoch]) => epochs.has(epoch)), "charges another epoch");
    return { header: other.header, summary: read };
  });
}

function demandCharged(reason) {
  if (reason !== null) refuse(reason, "what the log was charged");
}

/** What 8.3 and 8.4 say before the data are read, as far as the bundle shows the log. */
function demandStanding({ header, id }, changes, others, decided) {
  const { charter_version: version, seq } = header;
  demand(version <= decided.tip.version, "under a charter that is not here", "opaque");
  const newest = Math.max(0, ...others.map((other) => other.header.charter_version));
  demand(version >= newest, "a lower charter version than before", "charter_version_fell");
  const cut = decided.cut(header.author);
  if (cut === null) return;
  const isOff = seq === cut.seq && toHex(id) !== cut.id;
  const isReopened = changes.some(({ header: { kind, prev } }) => kind === "recover" && toHex(prev) === cut.id);
  const isBeyond = seq > cut.seq && (decided.isRemoved(header.author) || !isReopened);
  demand(!isOff && !isBeyond, "beyond the cut of its node", "cut");
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
