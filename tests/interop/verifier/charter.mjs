// Charter bodies and documents, and what founds a federation: charter.md 1 to 3.3.
import { ZEROS, isEqual, toHex } from "./bytes.mjs";
import { byCodeUnit, decode } from "./canonical.mjs";
import { endpoints } from "./endpoints.mjs";
import {
  bin, blob, boolean, demandAscending, demandVersion, hash, humanText, integer, list, name, oneOf, orNil, publicKey,
  ratio, record, signature, tuple,
} from "./fields.mjs";
import { idOf, messageOf } from "./ids.mjs";
import { isSignature } from "./keys.mjs";
import { demand } from "./refused.mjs";
import { hourText, parseHour } from "./windows.mjs";

const MAX_BODY_BYTES = 524_288;
const MAX_DOCUMENT_BYTES = 628_352;
const cap = ratio((numerator, denominator) => numerator <= 1_000n * denominator);

const organisation = (value) => record(value, { id: name, name: humanText(128), governance_key: publicKey });
const member = (value) => record(value, {
  node: hash,
  name,
  organisation: name,
  endpoints,
  counts_from: hourText,
  "root?": publicKey,
  "population?": integer(1),
  "population_group?": name,
  "cut?": tuple(integer(), integer(), hash),
});
const row = (value, field) => {
  const [label, definition, from, until] = tuple(name, hash, hourText, orNil(hourText))(value, field);
  demand(until === null || parseHour(until) > parseHour(from), "a row that ends before it begins");
  return { name: label, definition, from, until };
};

const BODY = {
  name: humanText(128),
  version: integer(1),
  attempt: integer(1),
  created: integer(),
  expires: integer(),
  organisations: list(organisation, 1, 1_000),
  threshold: integer(1),
  suspend_threshold: integer(1),
  members: list(member, 1, 1_000),
  catalogue: list(row, 0, 1_000),
  caps: (value) => record(value, { day: cap, week: cap, month: cap }),
  previous: list(hash, 0, 8),
  "succeeds?": hash,
  token_issuers: list(hash, 0, 1_000),
  min_organisations: integer(1, 1_000),
  allow_private: boolean,
  min_suite: integer(1),
  min_protocol: integer(1),
};

export function parseCharter(bytes) {
  const charter = record(decode(bytes, MAX_BODY_BYTES), BODY, [1]);
  demand(charter.expires > charter.created, "expires before it is created");
  demandOrganisations(charter);
  demandMembers(charter);
  demandCatalogue(charter.catalogue);
  demandAscending(charter.previous, Buffer.compare, "previous");
  demand((charter.version === 1) === (charter.previous.length === 0), "previous is empty exactly for version 1");
  demand(charter.succeeds === undefined || charter.version === 1, "only version 1 succeeds");
  return { ...charter, hash: idOf("charter", bytes) };
}

function demandOrganisations({ organisations, threshold, suspend_threshold }) {
  const count = organisations.length;
  demandAscending(organisations, (left, right) => byCodeUnit(left.id, right.id), "organisations");
  const keys = new Set(organisations.map(({ governance_key }) => toHex(governance_key)));
  demand(keys.size === count, "a governance key twice");
  demand(count < 2 * threshold && threshold <= count, "threshold: n < 2t <= 2n");
  demand(suspend_threshold <= count, "suspend_threshold above all");
}

function demandMembers({ members, organisations, token_issuers, allow_private }) {
  demandAscending(members, (left, right) => Buffer.compare(left.node, right.node), "members");
  demand(new Set(members.map((one) => one.name)).size === members.length, "a member's name twice");
  const listed = new Set(organisations.map(({ id }) => id));
  const isAtHome = (one) => one.cut !== undefined || listed.has(one.organisation);
  demand(members.every(isAtHome), "a member of no organisation listed");
  const hasPrivate = (one) => one.endpoints.some(({ isPrivate }) => isPrivate);
  demand(allow_private || !members.some(hasPrivate), "a private endpoint");
  demandAscending(token_issuers, Buffer.compare, "token_issuers");
  const nodes = new Set(members.map(({ node }) => toHex(node)));
  demand(token_issuers.every((node) => nodes.has(toHex(node))), "an issuer that is no member");
}

/** 2.5: one name a definition, and its rows do not overlap. */
function demandCatalogue(rows) {
  demandAscending(rows, compareRows, "catalogue");
  const last = new Map(); // of each definition the row before, by from
  for (const one of rows) {
    const before = last.get(toHex(one.definition));
    demand(before === undefined || before.name === one.name, "one definition under two names");
    demand(before === undefined || (before.until !== null && before.until <= one.from), "rows that overlap");
    last.set(toHex(one.definition), one);
  }
}

function compareRows(left, right) {
  return byCodeUnit(left.name, right.name) || byCodeUnit(left.from, right.from)
    || Buffer.compare(left.definition, right.definition);
}

// ---- documents, 3.1 -------------------------------------------------------------------------------------------------

/** `[1, type, body, [[governance key, signature], …]]`: the form of charters and suspensions. */
export function parseDocument(bytes, type, maxBytes, maxBodyBytes) {
  const outer = decode(bytes, maxBytes);
  demand(Array.isArray(outer) && outer.length >= 1, `${type}: no array`);
  demandVersion(outer[0]);
  const [, , body, approvals] = tuple(
    (value) => value, oneOf(type), blob(maxBodyBytes), list(tuple(bin(32), signature), 0, 1_000),
  )(outer, type);
  demandAscending(approvals, ([left], [right]) => Buffer.compare(left, right), "approvals");
  return { body, approvals };
}

export function parseCharterDocument(bytes) {
  const { body, approvals } = parseDocument(bytes, "charter", MAX_DOCUMENT_BYTES, MAX_BODY_BYTES);
  return { body, approvals, charter: parseCharter(body) };
}

/** 3.2: one bad signature, or one of a key that may not sign, spoils the document. The keys that signed, as hex. */
export function demandApprovals({ body, approvals }, type, federation, allowed) {
  const message = messageOf(type, federation, ZEROS, body);
  for (const [key, signed] of approvals) {
    demand(allowed.has(toHex(key)), "an approval of a key that may not sign", "bad-signature");
    demand(isSignature(key, message, signed), "an approval that does not verify", "bad-signature");
  }
  return new Set(approvals.map(([key]) => toHex(key)));
}

export function governanceKeys(charter) {
  return new Set(charter.organisations.map(({ governance_key }) => toHex(governance_key)));
}

/** 3.3: version 1, signed by every organisation in it. */
export function verifyFounding(document) {
  const { charter } = document;
  demand(charter.version === 1, "only version 1 founds");
  const keys = governanceKeys(charter);
  const signed = demandApprovals(document, "charter", ZEROS, keys);
  demand(signed.size === keys.size, "not every organisation has signed", "threshold-not-met");
  return charter;
}

export const isMember = (charter, node) => charter.members.some((one) => isEqual(one.node, node));
