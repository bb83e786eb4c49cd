// Charters after the first, which of several is trusted, suspensions: charter.md 3.4 to 3.6.
import { isEqual, toHex } from "./bytes.mjs";
import { decode } from "./canonical.mjs";
import {
  demandApprovals, governanceKeys, isMember, parseCharterDocument, parseDocument, verifyFounding,
} from "./charter.mjs";
import { hash, humanText, record } from "./fields.mjs";
import { idOf } from "./ids.mjs";
import { demand } from "./refused.mjs";
import { hourText, parseHour } from "./windows.mjs";

const NOTICE_S = 48 * 3600;
const MAX_SUSPENSION_BYTES = 1_024;
const MAX_SUSPENSION_DOCUMENT_BYTES = 105_088;
const MAX_SUSPENDED_HOURS = 336;
const succeeds = (holds, why) => demand(holds, why, "bad-succession");

/** The charters of one chain: the last document is the tip, and each other one is followed, directly or not. */
export function verifyChain(documents) {
  const parsed = documents.map(parseCharterDocument);
  const known = new Map();
  const first = verifyFounding(parsed[0]);
  known.set(toHex(first.hash), first);
  for (const document of parsed.slice(1)) {
    demandSuccession(document, known, first.hash);
    const isLater = [...known.values()].every((other) => comparePlaces(other, document.charter) < 0);
    succeeds(isLater, "a charter out of its order");
    known.set(toHex(document.charter.hash), document.charter);
  }
  const tip = parsed.at(-1).charter;
  const chain = chainOf(tip, known);
  succeeds(chain.length === known.size, "a charter that the tip does not follow");
  return { tip, federation: first.hash, chain };
}

/** A charter and all that it follows, in order of (version, attempt, hash). */
function chainOf(tip, known) {
  const found = new Map();
  const visit = (charter) => {
    if (found.has(toHex(charter.hash))) return;
    found.set(toHex(charter.hash), charter);
    for (const before of charter.previous) visit(known.get(toHex(before)));
  };
  visit(tip);
  return [...found.values()].sort(comparePlaces);
}

/** 3.4, for each charter that it follows. */
function demandSuccession(document, known, federation) {
  const { charter } = document;
  const followed = charter.previous.map((before) => known.get(toHex(before)));
  succeeds(followed.length > 0 && !followed.includes(undefined), "follows a charter that is not known");
  for (const before of followed) {
    succeeds(charter.version === before.version + 1, "version is not one more");
    succeeds(charter.created >= before.created, "created before the one it follows");
    succeeds(charter.min_suite >= before.min_suite, "min_suite falls");
    succeeds(charter.min_protocol >= before.min_protocol, "min_protocol falls");
    for (const member of before.members) demandMemberStays(member, charter);
    for (const row of before.catalogue) demandRowStands(row, charter, followed);
  }
  demandQuorums(document, followed, federation);
}

function demandMemberStays(before, charter) {
  const now = charter.members.find(({ node }) => isEqual(node, before.node));
  succeeds(now !== undefined, "a member left out");
  succeeds(now.organisation === before.organisation, "a member of another organisation");
  succeeds(now.counts_from <= before.counts_from, "counts_from is later");
  succeeds(before.root === undefined || now.root !== undefined, "a root disappears");
}

/** 3.4 rule 4: as before, or ended with notice; where several are followed, one that says the row so is enough. */
function demandRowStands(before, charter, followed) {
  const now = findRow(charter, before);
  succeeds(now !== undefined, "a row left out");
  const isAsSaid = followed.some((other) => findRow(other, now)?.until === now.until);
  const isSooner = now.until !== null && (before.until === null || now.until < before.until);
  succeeds(isAsSaid || (isSooner && parseHour(now.until) > charter.created + NOTICE_S), "a row ended without notice");
}

function findRow(charter, { name, definition, from }) {
  return charter.catalogue.find((row) => row.name === name && row.from === from && isEqual(row.definition, definition));
}

/** 3.4 rule 5. */
function demandQuorums(document, followed, federation) {
  const own = governanceKeys(document.charter);
  const old = followed.map(governanceKeys);
  const all = new Set([...own, ...old.flatMap((keys) => [...keys])]);
  const signed = demandApprovals(document, "charter", federation, all);
  const enough = (holds, why) => demand(holds, why, "threshold-not-met");
  const hasQuorum = (before, at) => countOf(signed, old[at]) >= before.threshold;
  enough(followed.every(hasQuorum), "too few keys of a charter it follows");
  enough(countOf(signed, own) >= document.charter.threshold, "too few of its own keys");
  const newKeys = [...own].filter((key) => !old.some((keys) => keys.has(key)));
  enough(newKeys.every((key) => signed.has(key)), "a new key has not signed");
}

const countOf = (signed, keys) => [...keys].filter((key) => signed.has(key)).length;

/** 3.5: of valid chains of one federation, the one that is trusted. */
export function trustedOf(chains) {
  return chains.reduce((best, one) => (compareChains(one.chain, best.chain) > 0 ? one : best));
}

/** By (version, attempt, hash). */
function comparePlaces(left, right) {
  return left.version - right.version || left.attempt - right.attempt || Buffer.compare(left.hash, right.hash);
}

/** Above zero where `left` is trusted before `right`. */
function compareChains(left, right) {
  const [lines, others] = [bestByVersion(left), bestByVersion(right)];
  if (lines.length !== others.length) return lines.length - others.length;
  for (let at = 0; at < lines.length; at++) {
    const order = compareRivals(lines[at], others[at]);
    if (order !== 0) return order;
  }
  return 0;
}

/** The later attempt, then the lower hash. */
function compareRivals(left, right) {
  return left.attempt - right.attempt || Buffer.compare(right.hash, left.hash);
}

function bestByVersion(chain) {
  const best = [];
  for (const charter of chain) {
    const at = charter.version - 1;
    if (best[at] === undefined || compareRivals(charter, best[at]) > 0) best[at] = charter;
  }
  return best;
}

const SUSPENSION = { charter: hash, member: hash, from: hourText, until: hourText, reason: humanText(500) };

/** The body alone: {charter, member, from, until, reason}. */
export function parseSuspension(body) {
  const fields = record(decode(body, MAX_SUSPENSION_BYTES), SUSPENSION, [1]);
  const hours = (parseHour(fields.until) - parseHour(fields.from)) / 3600;
  demand(hours >= 1 && hours <= MAX_SUSPENDED_HOURS, "1 to 336 hours");
  return fields;
}

/** 3.6; `charter` is the one whose keys decide, `federation` its federation's id. */
export function verifySuspension(bytes, charter, federation) {
  const document = parseDocument(bytes, "suspension", MAX_SUSPENSION_DOCUMENT_BYTES, MAX_SUSPENSION_BYTES);
  const fields = parseSuspension(document.body);
  demand(isEqual(fields.charter, charter.hash), "under another charter");
  demand(isMember(charter, fields.member), "of no member");
  const signed = demandApprovals(document, "suspension", federation, governanceKeys(charter));
  demand(signed.size >= charter.suspend_threshold, "too few keys", "threshold-not-met");
  return { ...fields, hash: idOf("suspension", document.body) };
}
