// What each file of specs/vectors/v1 says, checked case by case. A section without a check is itself a disagreement.
import { createPrivateKey, createPublicKey, sign } from "node:crypto";
import { answers } from "./answerchecks.mjs";
import { fromHex, isBytes, toHex } from "./bytes.mjs";
import { decode, encode } from "./canonical.mjs";
import { cellsHash, readCells, writeCells } from "./cells.mjs";
import { parseCharter, parseCharterDocument, verifyFounding } from "./charter.mjs";
import { demandSigned, parseData, parseEntry } from "./entries.mjs";
import { verifyFoundingBundle } from "./foundingbundles.mjs";
import { headTag, headsDigest, idOf, messageOf } from "./ids.mjs";
import { verifyInception } from "./inception.mjs";
import { verifyJoinRequest } from "./joinrequests.mjs";
import {
  canNodeImport, commitment, demandKey, demandSignature, isGoodForNode, isSignature, isSignatureByHand,
} from "./keys.mjs";
import { keyChains, keysInPlace } from "./keychecks.mjs";
import { admission, evidence, judgement } from "./logchecks.mjs";
import { answerProofs, proofs } from "./proofchecks.mjs";
import { refuse } from "./refused.mjs";
import { OPS, REFUSAL, STATUSES, verifyRequest, verifyResponse } from "./requests.mjs";
import { trustedOf, verifyChain, verifySuspension } from "./successions.mjs";
import { parseSummary } from "./summaries.mjs";
import { Tally, same } from "./tally.mjs";

/** The tally of one file; `laxness` gathers what Node alone would have let through. */
export function checkFile(file, vectors, laxness) {
  const tally = new Tally();
  const check = CHECKS[file];
  if (check === undefined) tally.case("(file)", () => refuse("malformed", "no check is written for this file"));
  else checkSections(check, vectors, tally, laxness);
  return tally;
}

function checkSections(check, vectors, tally, laxness) {
  for (const section of Object.keys(vectors)) {
    if (section === "about" || check.context?.includes(section)) continue;
    if (section in check) check[section](vectors[section], tally, { vectors, laxness });
    else tally.case(section, () => refuse("malformed", "no check is written for this section"));
  }
}

/** Sections inside a section, the same way. */
const nested = (check) => (vectors, tally, { laxness }) => checkSections(check, vectors, tally, laxness);

// ---- encoding.json, ids.json, cells.json ----------------------------------------------------------------------------

function fromJson(value) {
  if (Array.isArray(value)) return value.map(fromJson);
  if (value === null || typeof value !== "object") return value;
  if ("bin" in value) return fromHex(value.bin);
  return new Map(value.map.map(([key, item]) => [key, fromJson(item)]));
}

const encoding = {
  accepted(cases, tally) {
    tally.accepted("accepted", cases, ({ value, hex }) => {
      same(decode(fromHex(hex)), fromJson(value), "the value read");
      same(toHex(encode(fromJson(value))), hex, "the bytes written");
    });
  },
  refused: (cases, tally) => tally.refused("refused", cases, ({ hex }) => decode(fromHex(hex))),
};

const ids = {
  accepted(cases, tally) {
    tally.accepted("accepted", cases, ({ type, body, id }) => same(toHex(idOf(type, fromHex(body))), id, "the id"));
  },
  refused(cases, tally) {
    tally.refused("refused", cases, ({ type, body, id }) => {
      if (toHex(idOf(type, fromHex(body))) !== id) refuse("malformed", "another id");
    });
  },
  key_digest: ({ key, digest }, tally) => tally.case("key_digest", () => {
    same(toHex(commitment(fromHex(key))), digest, "the digest");
  }),
  head_tag: ({ nonce, id, tag }, tally) => tally.case("head_tag", () => {
    same(toHex(headTag(fromHex(nonce), fromHex(id))), tag, "the tag");
  }),
  heads_digest: (one, tally) => tally.case("heads_digest", () => {
    const heads = one.heads.map(([generation, seq, id, frozen]) => [generation, seq, id && fromHex(id), frozen]);
    const digest = headsDigest(one.charter_version, one.attempt, fromHex(one.charter_hash), heads);
    same(toHex(digest), one.digest, "the digest");
  }),
};

const cells = {
  accepted(cases, tally) {
    tally.accepted("accepted", cases, (one) => {
      same(readCells(fromHex(one.hex), one.cells.length), one.cells, "the cells");
      same(toHex(writeCells(one.cells)), one.hex, "the bytes");
      same(toHex(cellsHash(fromHex(one.hex))), one.cells_hash, "the hash");
    });
  },
  refused: (cases, tally) => tally.refused("refused", cases, ({ hex, count }) => readCells(fromHex(hex), count)),
};

// ---- keys.json, signatures.json -------------------------------------------------------------------------------------

const PKCS8_HEAD = Buffer.from("302e020100300506032b657004220420", "hex"); // RFC 8410: a seed of 32 bytes
const pkcs8 = (seed) => ({ key: Buffer.concat([PKCS8_HEAD, fromHex(seed)]), format: "der", type: "pkcs8" });
const privateKey = (seed) => createPrivateKey(pkcs8(seed));
const publicOf = (seed) => createPublicKey(privateKey(seed)).export({ format: "der", type: "spki" }).subarray(-32);

const keys = {
  accepted(cases, tally) {
    tally.accepted("accepted", cases, ({ key, seed }) => {
      demandKey(fromHex(key));
      if (seed !== undefined) same(toHex(publicOf(seed)), key, "the key of its seed");
    });
  },
  refused(cases, tally, { laxness }) {
    tally.refused("refused", cases, ({ key }) => demandKey(fromHex(key)));
    laxness.note("keys.json refused", cases, ({ key }) => canNodeImport(fromHex(key)));
  },
};

const parts = ({ key, message, signature }) => [key, message, signature].map(fromHex);

const signatures = {
  accepted(cases, tally) {
    tally.accepted("accepted", cases, (one) => {
      demandSignature(...parts(one));
      same(isSignatureByHand(...parts(one)), true, "the equation by hand");
      if (one.seed !== undefined) {
        same(toHex(publicOf(one.seed)), one.key, "the key of its seed");
        same(toHex(sign(null, fromHex(one.message), privateKey(one.seed))), one.signature, "the signature of its seed");
      }
      if (one.type !== undefined) {
        const message = messageOf(one.type, ...[one.federation, one.author, one.body].map(fromHex));
        same(toHex(message), one.message, "the message to sign");
      }
    });
  },
  refused(cases, tally, { laxness }) {
    tally.refused("refused", cases, (one) => {
      same(isSignatureByHand(...parts(one)), isSignature(...parts(one)), "the equation by hand");
      demandSignature(...parts(one));
    });
    laxness.note("signatures.json refused", cases, (one) => isGoodForNode(...parts(one)));
  },
  refused_by_the_key_rule(cases, tally, { laxness }) {
    tally.refused("refused_by_the_key_rule", cases, (one) => {
      same(isSignature(...parts(one)), true, "the equation alone");
      same(isSignatureByHand(...parts(one)), true, "the equation by hand");
      demandKey(fromHex(one.key));
    });
    laxness.note("signatures.json refused_by_the_key_rule", cases, (one) => isGoodForNode(...parts(one)));
  },
};

// ---- identity.json --------------------------------------------------------------------------------------------------

/** Fields of ours that the case names, as hex. */
function sameFields(got, expected, names) {
  for (const [field, ours] of Object.entries(names)) {
    const value = got[ours];
    if (field in expected) same(isBytes(value) ? toHex(value) : value, expected[field], field);
  }
}

const INCEPTION_NAMES = {
  node: "node", root_key: "rootKey", signing_key: "signingKey", next_digest: "nextDigest", organisation: "organisation",
  nonce: "nonce",
};

const identity = {
  inception: nested({
    accepted(cases, tally) {
      tally.accepted("inception", cases, (one) => sameFields(verifyInception(fromHex(one.wire)), one, INCEPTION_NAMES));
    },
    refused: (cases, tally) => tally.refused("inception", cases, ({ wire }) => verifyInception(fromHex(wire))),
  }),
  join_request: nested({
    accepted(cases, tally) {
      const names = { node: "node", governance_key: "governance_key" };
      tally.accepted("join_request", cases, (one) => sameFields(verifyJoinRequest(fromHex(one.wire)), one, names));
    },
    refused: (cases, tally) => tally.refused("join_request", cases, ({ wire }) => verifyJoinRequest(fromHex(wire))),
  }),
};

// ---- entries.json, keyed.json ---------------------------------------------------------------------------------------

const HEADER_FIELDS = [
  "federation", "author", "generation", "seq", "prev", "charter_version", "at", "kind", "data_hash", "data_size",
];
const ITSELF = Object.fromEntries(HEADER_FIELDS.map((field) => [field, field]));
const isOfTomorrow = (name) => /tomorrow|later data version|unreadable/.test(name);

function readEntry({ wire, keys: expected }) {
  const entry = parseEntry(fromHex(wire));
  demandSigned(entry, expected.map(fromHex));
  return entry;
}

const entries = {
  accepted(cases, tally) {
    tally.accepted("accepted", cases, (one) => {
      const entry = readEntry(one);
      same(toHex(entry.id), one.id, "the id");
      same(Object.keys(one.header).sort(), [...HEADER_FIELDS].sort(), "the fields of the header");
      sameFields(entry.header, one.header, ITSELF);
      if (!isOfTomorrow(one.name)) readItsData(entry);
    });
  },
  refused: (cases, tally) => tally.refused("refused", cases, readEntry),
  summary_data: (section, tally) => checkSummaries("summary_data", section, section.node, tally),
};

function readItsData({ header, data, cells: vector }) {
  if (header.kind === "inception") return same(toHex(verifyInception(data).node), toHex(header.author), "the author");
  const read = parseData(header.kind, data, header.author);
  return header.kind === "summary" ? readCells(vector, read.cellCount) : read;
}

function checkSummaries(section, { accepted, refused }, node, tally) {
  const author = fromHex(node);
  tally.accepted(`${section}: accepted`, accepted, (one) => {
    const summary = parseSummary(fromHex(one.data), author);
    same(toHex(summary.release), one.release, "the release id");
    if (one.keys !== undefined) same(summary.keys.map((key) => key.toString("utf8")), one.keys, "the keys");
    same(summary.cellCount, one.cells.length, "the number of cells");
    if (one.vector === null) return;
    same(readCells(fromHex(one.vector), summary.cellCount), one.cells, "the cells");
    same(toHex(cellsHash(fromHex(one.vector))), toHex(summary.cells_hash), "the cells' hash");
  });
  tally.refused(`${section}: refused`, refused, ({ data }) => parseSummary(fromHex(data), author));
}

const keyed = {
  context: ["node", "refused"],
  accepted: (_, tally, { vectors }) => checkSummaries("keyed", vectors, vectors.node, tally),
};

// ---- requests.json --------------------------------------------------------------------------------------------------

const REQUEST_NAMES = {
  hash: "hash", federation: "federation", from: "from", to: "to", op: "op", at_ms: "at_ms", nonce: "nonce",
  challenge: "challenge", payload: "payload",
};
const RESPONSE_NAMES = { request_hash: "request_hash", status: "status", payload: "payload" };
const readRequest = ({ wire, key }) => verifyRequest(fromHex(wire), fromHex(key));

const requests = {
  ops: (ops, tally) => tally.case("ops", () => same(OPS, ops, "the ops")),
  statuses: (statuses, tally) => tally.case("statuses", () => same(STATUSES, statuses, "the statuses")),
  refusal: (refusal, tally) => tally.case("refusal", () => {
    same(toHex(REFUSAL), refusal, "the refusal");
    same(toHex(encode([1, "refused"])), refusal, "its encoding");
  }),
  request: nested({
    accepted(cases, tally) {
      tally.accepted("request", cases, (one) => sameFields(readRequest(one), one, REQUEST_NAMES));
    },
    refused: (cases, tally) => tally.refused("request", cases, readRequest),
  }),
  response({ accepted, refused }, tally, { vectors }) {
    const asked = () => readRequest(vectors.request.accepted[0]); // README: all answer the first, or should
    const read = ({ wire, key }) => verifyResponse(fromHex(wire), fromHex(key), asked());
    tally.accepted("response", accepted, (one) => sameFields(read(one), one, RESPONSE_NAMES));
    tally.refused("response", refused, read);
  },
};

// ---- charter.json, charters_later.json ------------------------------------------------------------------------------

const founding = (document) => verifyFounding(parseCharterDocument(fromHex(document)));

const charter = {
  body: nested({
    accepted: (cases, tally) => tally.accepted("body", cases, ({ body, hash }) => {
      same(toHex(parseCharter(fromHex(body)).hash), hash, "the hash");
    }),
    refused: (cases, tally) => tally.refused("body", cases, ({ body }) => parseCharter(fromHex(body))),
  }),
  founding: nested({
    accepted: (cases, tally) => tally.accepted("founding", cases, ({ document, federation }) => {
      same(toHex(founding(document).hash), federation, "the federation id");
    }),
    refused: (cases, tally) => tally.refused("founding", cases, ({ document }) => founding(document)),
  }),
  bundle: nested({
    accepted: (cases, tally) => tally.accepted("bundle", cases, ({ bundle, federation }) => {
      same(toHex(verifyFoundingBundle(fromHex(bundle)).hash), federation, "the federation id");
    }),
    refused: (cases, tally) => tally.refused("bundle", cases, ({ bundle }) => verifyFoundingBundle(fromHex(bundle))),
  }),
};

const chainOf = (documents) => verifyChain(documents.map(fromHex));

const chartersLater = {
  chain: nested({
    accepted: (cases, tally) => tally.accepted("chain", cases, ({ documents, tip, federation }) => {
      const chain = chainOf(documents);
      same(toHex(chain.tip.hash), tip, "the tip");
      same(toHex(chain.federation), federation, "the federation id");
    }),
    refused: (cases, tally) => tally.refused("chain", cases, ({ documents }) => chainOf(documents)),
  }),
  order: (cases, tally) => tally.accepted("order", cases, ({ chains, trusted }) => {
    const verified = chains.map(chainOf);
    same(toHex(trustedOf(verified).tip.hash), trusted, "the trusted charter");
    same(toHex(trustedOf(verified.reverse()).tip.hash), trusted, "the trusted charter, seen in another order");
  }),
  suspension({ charter: document, accepted, refused }, tally) {
    const verify = (one) => {
      const decides = founding(document);
      return verifySuspension(fromHex(one.document), decides, decides.hash);
    };
    tally.accepted("suspension", accepted, (one) => same(toHex(verify(one).hash), one.hash, "the hash"));
    tally.refused("suspension", refused, verify);
  },
};

const CHECKS = {
  "admission.json": admission,
  "answer_proofs.json": answerProofs,
  "answers.json": answers,
  "answers_later.json": answers,
  "badges.json": answers,
  "cells.json": cells,
  "charter.json": charter,
  "charters_later.json": chartersLater,
  "encoding.json": encoding,
  "entries.json": entries,
  "evidence.json": evidence,
  "identity.json": identity,
  "ids.json": ids,
  "judgement.json": judgement,
  "key_chains.json": keyChains,
  "keyed.json": keyed,
  "keys.json": keys,
  "keys_in_place.json": keysInPlace,
  "lines.json": judgement,
  "proofs.json": proofs,
  "requests.json": requests,
  "signatures.json": signatures,
};
