// Entries of a log, their form and parts: mesh.md 5.1 to 5.5. Whose they are and which keys sign is the log's business.
import { decode, decodeOrNothing, encode } from "./canonical.mjs";
import { isBytes, isEqual } from "./bytes.mjs";
import { cellsHash } from "./cells.mjs";
import { endpoints } from "./endpoints.mjs";
import {
  blob, demandAscending, demandVersion, bin, hash, integer, list, oneOf, orNil, publicKey, record, signature, tuple,
} from "./fields.mjs";
import { idOf, messageOf } from "./ids.mjs";
import { demandSignature } from "./keys.mjs";
import { demand } from "./refused.mjs";
import { parseSummary } from "./summaries.mjs";
import { windowText } from "./windows.mjs";

const MAX_HEADER_BYTES = 400;
const MAX_DATA_BYTES = 65_536;
const MAX_CELLS_BYTES = 524_288;
const KIND = /^[a-z][a-z_]{0,31}$/;
const HEADER = tuple(
  demandFirst, hash, hash, integer(), integer(), hash, integer(1), integer(), kindName, hash, integer(),
);
const HEADER_NAMES = [
  "version", "federation", "author", "generation", "seq", "prev", "charter_version", "at", "kind", "data_hash",
  "data_size",
];
const EMPTY_HASH_SIZE = 32;

/** Form and parts; the signatures are of nobody yet. */
export function parseEntry(bytes) {
  const outer = decode(bytes);
  demand(Array.isArray(outer) && outer.length === 4, "entry: not four items");
  const [headerBytes, signatures, data, cells] = tuple(
    blob(MAX_HEADER_BYTES), list(signature, 1, 4), blob(MAX_DATA_BYTES), orNil(blob(MAX_CELLS_BYTES)),
  )(outer, "entry");
  const entry = { header: parseHeader(headerBytes), headerBytes, signatures, data, cells };
  demandParts(entry);
  return { ...entry, id: idOf("entry", headerBytes) };
}

export function parseHeader(bytes) {
  const items = decode(bytes, MAX_HEADER_BYTES);
  demand(Array.isArray(items) && items.length >= 1, "header: no array");
  demandVersion(items[0]);
  const values = HEADER(items, "header");
  return Object.fromEntries(HEADER_NAMES.map((name, at) => [name, values[at]]));
}

/** Header, data, cells, number of signatures belong together (5.2 to 5.4). `isWithout`: no cells here (proofs.md 1). */
export function demandParts({ header, signatures, data, cells }, isWithout = false) {
  const wrong = (holds, why) => demand(holds, why, "parts-mismatch");
  wrong(header.data_size === data.length, "another data size");
  wrong(isEqual(header.data_hash, idOf("data", data)), "another data hash");
  wrong(signatures.length === (header.kind === "rotate" ? 2 : 1), "another number of signatures");
  if (isWithout) return;
  const named = header.kind === "summary" ? namedCells(data) : null;
  wrong((named === null) === (cells === null), "cells exactly where the data names their hash");
  wrong(named === null || isEqual(named, cellsHash(cells)), "other cells than the data names");
}

/** 5.4: `cells_hash` of whatever map the data is, in every data version; null where there is none. */
function namedCells(data) {
  const map = decodeOrNothing(data);
  const named = map instanceof Map ? map.get("cells_hash") : undefined;
  return isBytes(named) && named.length === EMPTY_HASH_SIZE ? named : null;
}

/** 5.3: `keys` in the order of the signatures. */
export function demandSigned({ header, headerBytes, signatures }, keys) {
  demand(signatures.length === keys.length, "another number of signatures", "parts-mismatch");
  const message = messageOf("entry", header.federation, header.author, headerBytes);
  keys.forEach((key, at) => demandSignature(key, message, signatures[at]));
}

function demandFirst(value) {
  return demandVersion(value);
}

function kindName(value) {
  demand(typeof value === "string" && KIND.test(value), "kind: no kind");
  return value;
}

// ---- data, 5.5 ------------------------------------------------------------------------------------------------------

const REASONS = [
  "not_in_plan", "plan_incompatible", "window_not_in_one_epoch", "epoch_closed", "unit_too_weak", "budget", "paused",
  "not_yet_counting", "restored", "recovered",
];
const headRow = tuple(hash, integer(), integer(), hash);
const ascending = (check, least, most, keyOf = (item) => item) => (value, field) => {
  const items = list(check, least, most)(value, field);
  demandAscending(items, (left, right) => Buffer.compare(keyOf(left), keyOf(right)), field);
  return items;
};

const SCHEMAS = {
  rotate: { signing_key: publicKey, next_digest: hash },
  recover: { signing_key: publicKey, next_digest: hash },
  endpoint: { endpoints },
  abstain: { definition: hash, window: windowText, reason: oneOf(...REASONS) },
  withdraw: { release: hash, reason: oneOf("operator_error", "key_compromise", "wrong_plan") },
  heads_attest: { heads: ascending(headRow, 0, 700, ([author]) => author), "audit?": hash },
  token_key: { keys: ascending(publicKey, 0, 4) },
  revoke_token: { tokens: ascending(bin(16), 1, 256) },
  approve: { document: hash, governance_key: publicKey, signature },
};
const PROPOSALS = [
  { document: hash, version: integer(2) },
  { document: hash, suspension: blob(1_024, 1) },
];

/** The data of a kind specified here; null of any other kind (it is opaque). `inception` is read by its own module. */
export function parseData(kind, data, author) {
  if (kind === "summary") return parseSummary(data, author);
  const map = () => decode(data, MAX_DATA_BYTES);
  if (kind === "propose") return parseProposal(map());
  return kind in SCHEMAS ? record(map(), SCHEMAS[kind], [1]) : null;
}

function parseProposal(map) {
  const fields = record(map, PROPOSALS[map instanceof Map && map.has("suspension") ? 1 : 0], [1]);
  const isIts = fields.suspension === undefined || isEqual(fields.document, idOf("suspension", fields.suspension));
  demand(isIts, "a suspension under another hash");
  return fields;
}

export function entryBytes({ headerBytes, signatures, data, cells }) {
  return encode([headerBytes, signatures, data, cells]);
}
