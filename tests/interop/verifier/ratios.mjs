// Exact ratios in big integers, lowest terms: the numbers of privacy.md and metrics.md.
import { demand } from "./refused.mjs";

export function ratioOf(numerator, denominator = 1n) {
  const [top, bottom] = denominator < 0n ? [-numerator, -denominator] : [numerator, denominator];
  const divisor = greatestDivisor(top < 0n ? -top : top, bottom);
  return { top: top / divisor, bottom: bottom / divisor };
}

function greatestDivisor(left, right) {
  while (right !== 0n) [left, right] = [right, left % right];
  return left;
}

export const plus = (a, b) => ratioOf(a.top * b.bottom + b.top * a.bottom, a.bottom * b.bottom);
export const minus = (a, b) => ratioOf(a.top * b.bottom - b.top * a.bottom, a.bottom * b.bottom);
export const mul = (a, b) => ratioOf(a.top * b.top, a.bottom * b.bottom);
export const div = (a, b) => ratioOf(a.top * b.bottom, a.bottom * b.top);
export const isBelow = (a, b) => a.top * b.bottom < b.top * a.bottom;
export const compare = (a, b) => Number(isBelow(b, a)) - Number(isBelow(a, b));
export const whole = (number) => ratioOf(BigInt(number));
export const absolute = (a) => ratioOf(a.top < 0n ? -a.top : a.top, a.bottom);
export const floor = (a) => (a.top - (((a.top % a.bottom) + a.bottom) % a.bottom)) / a.bottom;
export const ceiling = (a) => -floor(ratioOf(-a.top, a.bottom));
export const fromWire = ([top, bottom]) => ratioOf(BigInt(top), BigInt(bottom));
export const isSame = (a, b) => a.top === b.top && a.bottom === b.bottom;

/** "n" or "n/d", at most 18 digits each (metrics.md 2.1). */
export function parseRatio(text, field) {
  const found = /^(\d{1,18})(?:\/(\d{1,18}))?$/.exec(text);
  demand(found !== null && BigInt(found[2] ?? 1) > 0n, `${field}: no ratio`);
  return ratioOf(BigInt(found[1]), BigInt(found[2] ?? 1));
}

/** A decimal number as people write it. */
export function parseDecimal(text, field) {
  const found = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text);
  demand(found !== null, `${field}: no decimal`);
  const number = ratioOf(BigInt(found[2] + (found[3] ?? "")), 10n ** BigInt(found[3]?.length ?? 0));
  return found[1] === "-" ? ratioOf(-number.top, number.bottom) : number;
}

/** The least integer whose square is not below. */
export function rootUp(number) {
  if (number < 2n) return number;
  let low = 1n << BigInt((number.toString(2).length - 1) >> 1);
  let high = low << 1n;
  while (low < high) {
    const middle = (low + high) >> 1n;
    if (middle * middle >= number) high = middle;
    else low = middle + 1n;
  }
  return low;
}
