// Suspensions that hold, put together from proposals and approvals in logs: charter.md 3.6, 3.7.
import { ZEROS, isEqual, toHex } from "./bytes.mjs";
import { governanceKeys, isMember } from "./charter.mjs";
import { messageOf } from "./ids.mjs";
import { isSignature } from "./keys.mjs";
import { Refused } from "./refused.mjs";
import { parseSuspension } from "./successions.mjs";
import { parseHour } from "./windows.mjs";

/** Node (hex) to [{from, until}] in Unix seconds. `said`: the data of counted `propose` and `approve` entries. */
export function suspensionsOf(decided, said) {
  const proposals = said.filter(({ suspension }) => suspension !== undefined);
  const holding = new Map(); // of a member and charter the lowest hash
  for (const { document, suspension } of proposals) {
    const fields = readOrNull(suspension);
    const charter = fields && decided.chain.find(({ hash }) => isEqual(hash, fields.charter));
    if (!charter || !isMember(charter, fields.member)) continue;
    if (votes(decided, charter, document, suspension, said) < charter.suspend_threshold) continue;
    const one = `${toHex(fields.member)} ${toHex(fields.charter)}`;
    const other = holding.get(one);
    if (other === undefined || Buffer.compare(document, other.document) < 0) holding.set(one, { ...fields, document });
  }
  const spans = new Map();
  for (const { member, from, until } of holding.values()) {
    const span = { from: parseHour(from), until: parseHour(until) };
    spans.set(toHex(member), [...(spans.get(toHex(member)) ?? []), span]);
  }
  return spans;
}

/** Good ones of keys that may sign count, others are passed over. */
function votes({ federation }, charter, document, body, said) {
  const allowed = governanceKeys(charter);
  const message = messageOf("suspension", federation, ZEROS, body);
  const good = said.filter((one) => one.governance_key !== undefined && isEqual(one.document, document)
    && allowed.has(toHex(one.governance_key)) && isSignature(one.governance_key, message, one.signature));
  return new Set(good.map(({ governance_key: key }) => toHex(key))).size;
}

function readOrNull(body) {
  try {
    return parseSuspension(body);
  } catch (error) {
    if (error instanceof Refused) return null;
    throw error;
  }
}
