// The vectors of specs/vectors/noise, as far as the text says how bytes become samples.
import { createHash } from "node:crypto";
import { fromHex, toHex } from "./bytes.mjs";
import { KeyStream, geometricSamples, hasTable, parseLaw, tableSamples, thresholdsOf } from "./noise.mjs";
import { parseRatio } from "./ratios.mjs";
import { Tally, same } from "./tally.mjs";

const NOT_SPECIFIED = ["choice.json", "exact.json", "refused.json"]; // 3.5, 3.7, and cases in words
const tables = new Map();

/** {tally, skipped}: cases the text does not decide are counted apart. */
export function checkNoiseFile(file, cases) {
  const tally = new Tally();
  if (NOT_SPECIFIED.includes(file)) return { tally, skipped: cases.length };
  const check = CHECKS[file];
  if (check === undefined) tally.case("(file)", () => same(file, Object.keys(CHECKS).join(), "a file with a check"));
  const open = cases.filter((one) => !["gaussian.json", "laplace.json"].includes(file) || hasTable(lawOf(one)));
  if (check !== undefined) open.forEach((one, at) => tally.case(`${at}`, () => check(one)));
  return { tally, skipped: cases.length - open.length };
}

const lawOf = (one) => parseLaw(one, parseRatio);

function tableOf(one) {
  const name = `${one.sigma_squared} ${one.scale}`;
  if (!tables.has(name)) tables.set(name, thresholdsOf(lawOf(one)));
  return tables.get(name);
}

function checkKeyStream({ key, first, then, after_5000 }) {
  const stream = new KeyStream(fromHex(key));
  same(toHex(stream.take(64)), first, "the first 64 bytes");
  same(toHex(stream.take(7)), then, "the next 7");
  stream.take(5_000);
  same(toHex(stream.take(16)), after_5000, "16 after 5,000 more");
}

function checkThresholds(one) {
  const thresholds = tableOf(one);
  same(thresholds.length, one.count, "how many");
  same(thresholds.slice(0, 4).map(String), one.first, "the first four");
  const words = thresholds.map((threshold) => Buffer.from(threshold.toString(16).padStart(32, "0"), "hex"));
  same(createHash("sha256").update(Buffer.concat(words)).digest("hex"), one.sha256, "the hash of all");
}

function checkSamples(draw) {
  return (one) => {
    const samples = draw(one, new KeyStream(fromHex(one.key)));
    same(samples.slice(0, 16), one.first, "the first samples");
    const text = samples.map((sample) => `${sample}\n`).join("");
    same(createHash("sha256").update(text).digest("hex"), one.sha256, "the hash of all");
  };
}

const fromTable = checkSamples((one, stream) => tableSamples(tableOf(one), stream, one.count));

const CHECKS = {
  "gaussian.json": fromTable,
  "geometric.json": checkSamples((one, stream) => geometricSamples(parseRatio(one.scale, "scale"), stream, one.count)),
  "keystream.json": checkKeyStream,
  "laplace.json": fromTable,
  "thresholds.json": checkThresholds,
};
