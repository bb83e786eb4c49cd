// Requests and responses: mesh.md 6.1 and 6.2.
import { isEqual } from "./bytes.mjs";
import { decode } from "./canonical.mjs";
import { bin, blob, demandVersion, hash, integer, oneOf, orNil, tuple } from "./fields.mjs";
import { idOf } from "./ids.mjs";
import { demandSignatures, parseObject } from "./objects.mjs";
import { demand } from "./refused.mjs";

export const OPS = ["hello", "heads", "range", "push", "announce", "docs", "join"];
export const STATUSES = [
  "ok", "clock-skew", "replayed", "unknown-key", "unknown-charter", "malformed", "unknown-op", "busy", "failed",
];
export const REFUSAL = Buffer.from("9201a772656675736564", "hex"); // 6.3
const MAX_MESSAGE_BYTES = 1 << 20;
const MAX_PAYLOAD_BYTES = (1 << 20) - 1_024;

const TAIL = ["charter_version", "attempt", "charter_hash", "heads_digest", "payload"];
const tail = [integer(1), integer(1), hash, hash, blob(MAX_PAYLOAD_BYTES)];
const FORMS = {
  request: {
    names: ["v", "mark", "federation", "from", "to", "op", "at_ms", "nonce", "challenge", ...TAIL],
    check: tuple(
      demandFirst, oneOf("req"), hash, hash, hash, oneOf(...OPS), integer(), bin(16), orNil(bin(16)), ...tail,
    ),
  },
  response: {
    names: ["v", "mark", "federation", "from", "to", "request_hash", "at_ms", "status", ...TAIL],
    check: tuple(demandFirst, oneOf("res"), hash, hash, hash, hash, integer(), oneOf(...STATUSES), ...tail),
  },
};

export function verifyRequest(bytes, key) {
  return verifyMessage("request", bytes, key);
}

/** `request` is what `verifyRequest` gave for the message this one answers. */
export function verifyResponse(bytes, key, request) {
  const response = verifyMessage("response", bytes, key);
  const isAnswer = isEqual(response.request_hash, request.hash) && isEqual(response.federation, request.federation)
    && isEqual(response.from, request.to) && isEqual(response.to, request.from);
  demand(isAnswer, "an answer to something else", "bad-signature");
  return response;
}

function verifyMessage(type, bytes, key) {
  const signed = parseObject(bytes, type, MAX_MESSAGE_BYTES);
  const message = parseBody(type, signed.body);
  demandSignatures(signed, type, message.federation, message.from, [key]);
  return { ...message, hash: idOf(type, signed.body) };
}

function parseBody(type, bytes) {
  const items = decode(bytes, MAX_MESSAGE_BYTES);
  demand(Array.isArray(items) && items.length >= 1, `${type}: no array`);
  demandVersion(items[0]);
  const { names, check } = FORMS[type];
  const values = check(items, type);
  return Object.fromEntries(names.map((name, at) => [name, values[at]]));
}

function demandFirst(value) {
  return demandVersion(value);
}
