// Ed25519 with exactly the checks of mesh.md 3: keys that enter (3.2), signatures that verify (3.3), commitments (3.4).
//
// Node's verifier (OpenSSL) does the equation: it has no cofactor, refuses S >= L and compares R as bytes. What it
// leaves out, small order and the canonical form of the key, is added here. `isEquationExact` is the equation by hand.
import { createHash, createPublicKey, verify as cryptoVerify } from "node:crypto";
import { isEqual, littleEndian } from "./bytes.mjs";
import { BASE, IDENTITY, L, add, isSame, isSmallOrder, pointOf, times } from "./curve.mjs";
import { demand, refuse } from "./refused.mjs";

const goodKeys = new Set();

/** 3.2: the canonical encoding of a point of the prime-order subgroup other than the identity. */
export function demandKey(key) {
  const name = key.toString("hex");
  if (goodKeys.has(name)) return key;
  const point = pointOf(key);
  demand(point !== null, "no canonical encoding of a point", "bad-key");
  demand(!isSame(point, IDENTITY), "the identity", "bad-key");
  demand(isSame(times(L, point), IDENTITY), "a point outside the prime-order subgroup", "bad-key");
  goodKeys.add(name);
  return key;
}

const seen = new Map(); // the same entry is verified under many cases

/** 3.3, all of it, but for the key rule of 3.2. */
export function isSignature(key, message, signature) {
  const one = createHash("sha256").update(`${key.length} ${signature.length} `).update(key).update(signature).update(message).digest("latin1");
  if (!seen.has(one)) seen.set(one, arePartsSound(key, signature) && isGoodForNode(key, message, signature));
  return seen.get(one);
}

/** 3.3 without Node's verifier: the same checks, and S·B = R + SHA-512(R ‖ A ‖ M)·A in integers. */
export function isSignatureByHand(key, message, signature) {
  return arePartsSound(key, signature) && isEquationExact(key, message, signature);
}

export function demandSignature(key, message, signature) {
  if (!isSignature(key, message, signature)) refuse("bad-signature", "a signature does not verify");
}

/** What Node says by itself, for comparison; a thrown error is a no. */
export function isGoodForNode(key, message, signature) {
  try {
    return cryptoVerify(null, message, imported(key), signature);
  } catch {
    return false;
  }
}

export function canNodeImport(key) {
  try {
    return imported(key).asymmetricKeyType === "ed25519";
  } catch {
    return false;
  }
}

/** As a JWK: as DER, Node would take a key of 33 bytes and drop the last. */
function imported(key) {
  return createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x: key.toString("base64url") }, format: "jwk" });
}

function arePartsSound(key, signature) {
  if (signature.length !== 64 || littleEndian(signature.subarray(32)) >= L) return false;
  const [point, r] = [pointOf(key), pointOf(signature.subarray(0, 32))];
  return point !== null && r !== null && !isSmallOrder(point) && !isSmallOrder(r);
}

function isEquationExact(key, message, signature) {
  const [r, s] = [signature.subarray(0, 32), littleEndian(signature.subarray(32))];
  const challenge = littleEndian(createHash("sha512").update(r).update(key).update(message).digest()) % L;
  // Of a key with a small-order part, which 3.2 keeps out, k mod L is another multiple than k. The vectors reduce.
  return isSame(times(s, BASE), add(pointOf(r), times(challenge, pointOf(key))));
}

/** 3.4 */
export function commitment(key) {
  return createHash("sha256").update("murmur-next-key-v1\0").update(key).digest();
}

export const isCommitted = (key, digest) => isEqual(commitment(key), digest);
