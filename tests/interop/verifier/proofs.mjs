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

export const MAX_BUNDLE_BYTES = 16 << 20;
export const NOT_GIVEN = "   (not given from elsewhere: agrees with itself only)";
const PARTS = 10;
export const any = blob(MAX_BUNDLE_BYTES);
const CHARTERS = list(any, 1, 1_000);
const CHANGES = list(any, 0, 64);
const OTHER = tuple(blob(400), list(signature, 1, 1), any);
const OTHERS = list((item) => item, 0, 10_000);

/** What the bundle proves, given the federation id from elsewhere (or only to itself, where it is not given). */
export function verifyProof(bytes, given = null) {
  const parts = part("form", () => parseForm(bytes));
  const federation = part("federation id", () => federationOf(parts, given));
  const decided = part("charter", () => chainOf(parts, federation));
  const entry = part("entry", () => parseEntry(any(parts.entry, "entry")));
  const inception = part("inception record", () => verifyInception(any(parts.inception, "inception")));
  const member = decided.member(inception.node);
  part("inception record", () => demand(member !== undefined, "of a node the last charter does not name"));
  const [chain, changes] = part("key chain", () => keysOf(parts.changes, inception, federation, decided));
  part("entry", () => demandFromItsNode(entry.header, federation, chain));
  part("entry's signature", () => demandInForce(entry, chain));
  const definition = part("definition", () => compile(any(parts.definition, "definition")));
  const summary = part("entry", () => summaryOf(entry, chain.node));
  part("definition", () => demand(isEqual(idOf("definition", parts.definition), summary.definition), "another one"));
  const others = part("other summaries", () => othersOf(parts, chain, entry, summary));
  const ledger = new Ledger((epoch) => decided.capOf(epoch));
  const shown = new Shown(decided, changes);
  part("other summaries", () => others.forEach((other) => {
    shown.demandStanding(other);
    demandCharged(ledger.add(other.summary));
  }));
  part("entry", () => {
    demand(entry.header.charter_version <= decided.tip.version, "under a charter that is not here", "opaque");
    shown.demandStanding(entry);
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
export function part(name, check) {
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

export function federationOf({ federation }, given) {
  hash(federation, "federation");
  demand(given === null || isEqual(federation, given), "another id than the one given");
  return federation;
}

export function chainOf({ charters }, federation) {
  const verified = verifyChain(CHARTERS(charters, "charters"));
  demand(isEqual(verified.federation, federation), "its first has another hash than the federation id");
  return new Decided(verified);
}

export function keysOf(documents, inception, federation, decided) {
  const chain = new KeyChain(inception, federation, decided.roots(inception.node));
  const changes = CHANGES(documents, "key changes").map(parseEntry);
  for (const change of changes) chain.follow(change);
  return [chain, changes];
}

export function demandFromItsNode(header, federation, chain) {
  demand(isEqual(header.federation, federation), "of another federation");
  demand(isEqual(header.author, chain.node), "of another node");
}

export function demandInForce(entry, chain) {
  const key = chain.keyAt(entry.header);
  demand(key !== null, "no key in force at its position", "bad-signature");
  demandSigned(entry, [key]);
}

export function summaryOf({ header, data }, node) {
  demand(header.kind === "summary", "no summary");
  return parseSummary(data, node);
}

/** In log order, before the entry, charging the same epoch; each without its cells. */
function othersOf({ others }, chain, entry, summary) {
  const epochs = new Set(summary.charges.map(([epoch]) => epoch));
  let last = -1;
  return OTHERS(others, "other summaries").map((item) => {
    const other = otherOf(item);
    const { seq } = other.header;
    demandFromItsNode(other.header, chain.federation, chain);
    demand(seq > last && seq < entry.header.seq, "out of order");
    last = seq;
    demandInForce(other, chain);
    const read = summaryOf(other, chain.node);
    demand(read.charges.some(([epoch]) => epochs.has(epoch)), "charges another epoch");
    return { ...other, summary: read };
  });
}

/** `[header, [signature], data]`: its form and parts. */
export function otherOf(item) {
  const [headerBytes, signatures, data] = OTHER(item, "other summary");
  const other = { header: parseHeader(headerBytes), headerBytes, signatures, data, cells: null };
  demandParts(other, true);
  return { ...other, id: idOf("entry", headerBytes) };
}

export function demandCharged(reason) {
  if (reason !== null) refuse(reason, "what the log was charged");
}

/** What 8.3 and 8.4 say before data are read, as far as the bundle shows the log of one author. Takes entries in log order. */
export class Shown {
  constructor(decided, changes) {
    Object.assign(this, { decided, changes, newest: 0 });
  }

  demandStanding({ header, id }) {
    const { charter_version: version, seq } = header;
    this.demandWithinCut(header, id);
    const before = this.changes.filter((change) => change.header.seq < seq).map((change) => change.header.charter_version);
    this.newest = Math.max(this.newest, ...before);
    demand(version >= this.newest, "a lower charter version than before", "charter_version_fell");
    this.newest = version;
  }

  /** The last cut that the chain names: beyond it only what a `recover` on its entry leads to, once it was taken back. */
  demandWithinCut({ author, generation, seq }, id) {
    const cut = this.decided.cut(author);
    if (cut === null) return;
    if (seq === cut.seq) demand(toHex(id) === cut.id, "beside the entry of the cut", "cut");
    if (seq <= cut.seq && generation <= cut.generation) return;
    const isReopening = ({ header }) =>
      header.kind === "recover" && toHex(header.prev) === cut.id && header.generation <= generation && header.seq < seq;
    const isOpen = !this.decided.isRemoved(author) && seq > cut.seq && this.changes.some(isReopening);
    demand(isOpen, "beyond the cut of its node", "cut");
  }
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
