// Rounding of exact ratios and roots, and numbers as texts: answers.md 1.2, 4.3.
import { div, floor, mul, ratioOf, whole } from "./ratios.mjs";

export const FINE = 1n << 64n;

/** The nearest integer, half to even. */
export function nearest({ top, bottom }) {
  const low = floor({ top, bottom });
  const twice = 2n * (top - low * bottom);
  if (twice !== bottom) return twice > bottom ? low + 1n : low;
  return low % 2n === 0n ? low : low + 1n;
}

/** ⟨v⟩q */
export const rounded = (value, step) => mul(whole(nearest(div(value, step))), step);

/** √v⟩g */
export function root(value, grid) {
  const square = div(value, mul(grid, grid));
  const low = isqrt(floor(square));
  const half = ratioOf(4n * low * low + 4n * low + 1n, 4n);
  const order = square.top * half.bottom - half.top * square.bottom;
  const up = order > 0n || (order === 0n && low % 2n === 1n);
  return mul(whole(up ? low + 1n : low), grid);
}

export function isqrt(number) {
  if (number < 2n) return number;
  let at = 1n << BigInt((number.toString(2).length + 1) >> 1);
  for (;;) {
    const next = (at + number / at) >> 1n;
    if (next >= at) return at;
    at = next;
  }
}

export const isWhole = ({ bottom }) => bottom === 1n;

/** Decimals that multiples of `step` need, at most 6. */
export function decimalsOf(step) {
  let decimals = 0;
  while (decimals < 6 && (step.top * 10n ** BigInt(decimals)) % step.bottom !== 0n) decimals += 1;
  return decimals;
}

export function textOf(value, decimals) {
  const number = nearest(mul(value, whole(10n ** BigInt(decimals))));
  const digits = (number < 0n ? -number : number).toString().padStart(decimals + 1, "0");
  const sign = number < 0n ? "-" : "";
  if (decimals === 0) return sign + digits;
  return `${sign}${digits.slice(0, -decimals)}.${digits.slice(-decimals)}`;
}

/** A multiple of `step`: an integer where the step is whole, else a text. */
export const numberOf = (value, step, decimals = decimalsOf(step)) => (isWhole(step) ? value.top : textOf(value, decimals));
