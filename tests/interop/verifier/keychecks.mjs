// key_chains.json and keys_in_place.json, case by case. The README of the vectors says what the places are.
import { fromHex, toHex } from "./bytes.mjs";
import { parseCharter, parseCharterDocument } from "./charter.mjs";
import { parseData, parseEntry } from "./entries.mjs";
import { verifyInception } from "./inception.mjs";
import { verifyJoinRequest } from "./joinrequests.mjs";
import { KeyChain } from "./keychain.mjs";
import { demandSignature, isGoodForNode } from "./keys.mjs";
import { same } from "./tally.mjs";

function follow({ inception, links, roots }, federation) {
  const chain = new KeyChain(verifyInception(fromHex(inception)), fromHex(federation), roots.map(fromHex));
  for (const link of links) chain.follow(parseEntry(fromHex(link)));
  return chain;
}

export const keyChains = {
  context: ["federation"],
  accepted(cases, tally, { vectors }) {
    tally.accepted("accepted", cases, (one) => {
      const { generation, seq, signingKey, nextDigest } = follow(one, vectors.federation).links.at(-1);
      same([generation, seq], one.position, "the position");
      same(toHex(signingKey), one.signing_key, "the signing key");
      same(toHex(nextDigest), one.next_digest, "the next digest");
    });
  },
  refused(cases, tally, { vectors }) {
    tally.refused("refused", cases, (one) => follow(one, vectors.federation));
  },
};

const AUTHOR = Buffer.alloc(32); // of data that name no author

/** The whole entry, as the first change after the record `inception`. */
function readChange(bytes, { federation, inception }) {
  new KeyChain(verifyInception(fromHex(inception)), federation).follow(parseEntry(bytes));
}

const PLACES = {
  "inception root_key": verifyInception,
  "inception signing_key": verifyInception,
  "rotate signing_key": readChange,
  "recover signing_key": readChange,
  "join request governance_key": verifyJoinRequest,
  "charter governance_key": parseCharterDocument,
  "charter root": parseCharter,
  "approve governance_key": (bytes) => parseData("approve", bytes, AUTHOR),
  "token_key keys": (bytes) => parseData("token_key", bytes, AUTHOR),
};

export const keysInPlace = {
  context: ["federation"],
  refused(cases, tally, { vectors }) {
    const federation = fromHex(vectors.federation);
    tally.refused("refused", cases, ({ place, bytes, inception }) => {
      PLACES[place](fromHex(bytes), { federation, inception });
    });
  },
  signatures_refused(cases, tally) {
    tally.refused("signatures_refused", cases, (one) => {
      const parts = [one.key, one.message, one.signature].map(fromHex);
      same(isGoodForNode(...parts), true, "the equation alone, as Node checks it");
      demandSignature(...parts);
    });
  },
};
