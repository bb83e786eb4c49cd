// Join requests: charter.md 4.
import { ZEROS, isEqual } from "./bytes.mjs";
import { decode } from "./canonical.mjs";
import { endpoint } from "./endpoints.mjs";
import { blob, humanText, integer, name, publicKey, record } from "./fields.mjs";
import { MAX_INCEPTION_BYTES, verifyInception } from "./inception.mjs";
import { demandSignatures, parseObject } from "./objects.mjs";
import { demand } from "./refused.mjs";

const MAX_JOIN_REQUEST_BYTES = 8_192;
const SCHEMA = {
  inception: blob(MAX_INCEPTION_BYTES),
  name,
  organisation_name: humanText(128),
  governance_key: publicKey,
  "endpoint?": endpoint,
  "population?": integer(1),
  "population_group?": name,
};

export function verifyJoinRequest(bytes) {
  const signed = parseObject(bytes, "join-request", MAX_JOIN_REQUEST_BYTES);
  const fields = record(decode(signed.body), SCHEMA, [1]);
  const inception = verifyInception(fields.inception); // first the record, then the request
  for (const key of [inception.rootKey, inception.signingKey]) {
    demand(!isEqual(key, fields.governance_key), "the governance key is the root or the signing key");
  }
  demandSignatures(signed, "join-request", ZEROS, inception.node, [inception.signingKey]);
  return { ...fields, inception, node: inception.node };
}
