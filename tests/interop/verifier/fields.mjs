// Closed schemas and the kinds of field: mesh.md 1.2, 1.4 to 1.6.
//
// A checker takes a value and a name for messages, and returns the value or refuses: `too-large` where it is too long,
// else `malformed`.
import { isBytes } from "./bytes.mjs";
import { demandKey } from "./keys.mjs";
import { demand, refuse } from "./refused.mjs";

const NAME = /^[a-z][a-z0-9_.-]{0,63}$/;
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;
const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The map, its version looked at before anything else (1.6), with exactly the fields of `schema`; "x?" is optional. */
export function record(value, schema, versions = null) {
  demand(value instanceof Map, "not a map");
  if (versions !== null) demandVersion(value.get("v"), versions);
  const fields = {};
  for (const [written, check] of Object.entries(schema)) {
    const name = written.replace("?", "");
    if (value.has(name)) fields[name] = check(value.get(name), name);
    else demand(written.endsWith("?"), `no ${name}`);
  }
  for (const name of value.keys()) {
    demand(name in fields || (name === "v" && versions !== null), `unknown field ${name}`);
  }
  return fields;
}

/** An integer that is not one of ours is another version; what is no positive integer is no version. */
export function demandVersion(version, ours = [1]) {
  demand(Number.isInteger(version) && version >= 1, "v is no positive integer");
  demand(ours.includes(version), `version ${version}`, "unknown-version");
  return version;
}

/** An array of exactly these checkers. */
export function tuple(...checks) {
  return (value, name) => {
    demand(Array.isArray(value) && value.length === checks.length, `${name}: not ${checks.length} items`);
    return value.map((item, at) => checks[at](item, name));
  };
}

export function list(check, least, most) {
  return (value, name) => {
    demand(Array.isArray(value), `${name}: not an array`);
    demand(value.length >= least, `${name}: fewer than ${least}`);
    demand(value.length <= most, `${name}: more than ${most}`, "too-large");
    return value.map((item) => check(item, name));
  };
}

export function integer(least = 0, most = Number.MAX_SAFE_INTEGER) {
  return (value, name) => {
    demand(Number.isInteger(value) && value >= least && value <= most, `${name}: not an integer from ${least}`);
    return value;
  };
}

export function boolean(value, name) {
  demand(typeof value === "boolean", `${name}: no boolean`);
  return value;
}

export function bin(length) {
  return (value, name) => {
    demand(isBytes(value) && value.length === length, `${name}: not ${length} bytes`);
    return value;
  };
}

export const hash = bin(32);
export const signature = bin(64);

export function blob(most, least = 0) {
  return (value, name) => {
    demand(isBytes(value), `${name}: no bin`);
    demand(value.length <= most, `${name}: above ${most} bytes`, "too-large");
    demand(value.length >= least, `${name}: below ${least} bytes`);
    return value;
  };
}

/** 3.2: a key that enters. A field that is not 32 bytes is `malformed`. */
export function publicKey(value, name) {
  return demandKey(bin(32)(value, name));
}

/** 1.5 */
export function name(value, field) {
  demand(typeof value !== "string" || value.length <= 64, `${field}: above 64 characters`, "too-large");
  demand(typeof value === "string" && NAME.test(value), `${field}: no name`);
  return value;
}

export function oneOf(...texts) {
  return (value, field) => {
    demand(typeof value === "string" && texts.includes(value), `${field}: not one of the texts it may be`);
    return value;
  };
}

/** 1.2: text that people wrote, as its string. */
export function humanText(most, least = 1) {
  const check = blob(most, least);
  return (value, field) => {
    const text = utf8(check(value, field), field);
    demand(!CONTROL.test(text), `${field}: a control character`);
    return text;
  };
}

export function utf8(bytes, field) {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return refuse("malformed", `${field}: no UTF-8`);
  }
}

/** 1.4: lowest terms. Both numbers are safe integers, so the comparison below is made in big ones. */
export function ratio(isWithin = () => true) {
  return (value, field) => {
    const [numerator, denominator] = tuple(integer(0), integer(1))(value, field);
    demand(greatestDivisor(numerator, denominator) === 1, `${field}: not in lowest terms`);
    demand(isWithin(BigInt(numerator), BigInt(denominator)), `${field}: out of range`);
    return value;
  };
}

export const positiveRatio = ratio((numerator) => numerator > 0n);

function greatestDivisor(left, right) {
  return right === 0 ? left : greatestDivisor(right, left % right);
}

export const orNil = (check) => (value, field) => (value === null ? null : check(value, field));

/** Strictly: no two are equal. */
export function demandAscending(items, compare, field) {
  for (let at = 1; at < items.length; at++) demand(compare(items[at - 1], items[at]) < 0, `${field}: not ascending`);
}
