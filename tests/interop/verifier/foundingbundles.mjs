// The founding bundle: charter.md 5.
import { isEqual } from "./bytes.mjs";
import { decode } from "./canonical.mjs";
import { parseCharterDocument, verifyFounding } from "./charter.mjs";
import { blob, demandAscending, demandVersion, list, oneOf, tuple } from "./fields.mjs";
import { idOf } from "./ids.mjs";
import { verifyJoinRequest } from "./joinrequests.mjs";
import { demand } from "./refused.mjs";

const MAX_BUNDLE_BYTES = 16 << 20;
const MAX_DEFINITION_BYTES = 65_536;
const parts = (most) => list(blob(most), 0, 1_000);

export function verifyFoundingBundle(bytes) {
  const outer = decode(bytes, MAX_BUNDLE_BYTES);
  demand(Array.isArray(outer) && outer.length >= 1, "bundle: no array");
  demandVersion(outer[0]);
  const [, , document, requests, definitions] = tuple(
    (value) => value, oneOf("bundle"), blob(MAX_BUNDLE_BYTES), parts(8_192), parts(MAX_DEFINITION_BYTES),
  )(outer, "bundle");
  const parsed = parseCharterDocument(document);
  demandRequests(parsed.charter, requests.map(verifyJoinRequest));
  demandDefinitions(parsed.charter, definitions);
  return verifyFounding(parsed); // last: a bundle may be passed round before all have signed (5.3)
}

/** 5.2: in the charter's own order, exactly one a member, and saying the same. */
function demandRequests(charter, requests) {
  demand(requests.length === charter.members.length, "not one join request a member");
  charter.members.forEach((member, at) => {
    const request = requests[at];
    const home = charter.organisations.find(({ id }) => id === member.organisation);
    demand(isEqual(request.node, member.node), "join requests not those of the members, in order");
    demand(request.name === member.name, "another name than the charter's");
    demand(request.inception.organisation === member.organisation, "another organisation than the charter's");
    demand(home !== undefined && isEqual(request.governance_key, home.governance_key), "another governance key");
  });
}

function demandDefinitions(charter, definitions) {
  const hashes = definitions.map((bytes) => idOf("definition", bytes));
  demandAscending(hashes, Buffer.compare, "definitions");
  definitions.forEach((bytes) => decode(bytes, MAX_DEFINITION_BYTES));
  const named = new Set(charter.catalogue.map(({ definition }) => definition.toString("hex")));
  demand(hashes.length === named.size && hashes.every((one) => named.has(one.toString("hex"))), "other definitions");
}
