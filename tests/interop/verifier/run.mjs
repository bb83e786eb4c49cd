// node run.mjs [FOLDER]       checks every vector of specs/vectors/v1, or of FOLDER
// node run.mjs --bundle FILE [FEDERATION]     verifies a proof bundle (specs/proofs.md)
// node run.mjs --noise [FOLDER]               checks specs/vectors/noise (specs/privacy.md 3)
// node run.mjs --definitions FILE             says what definitions compile to, a line of JSON each
import { readFileSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { fromHex } from "./bytes.mjs";
import { checkFile } from "./checks.mjs";
import { definitionBytes, summaryOf } from "./definitions.mjs";
import { Laxness } from "./laxness.mjs";
import { describe, verifyProof } from "./proofs.mjs";
import { checkNoiseFile } from "./noisechecks.mjs";
import { Refused } from "./refused.mjs";

const VECTORS = fileURLToPath(new URL("../../../specs/vectors/v1", import.meta.url));
const NOISE = fileURLToPath(new URL("../../../specs/vectors/noise", import.meta.url));

function runVectors(folder) {
  const laxness = new Laxness();
  const files = readdirSync(folder).filter((name) => name.endsWith(".json")).sort();
  const tallies = files.map((file) => {
    const tally = checkFile(file, JSON.parse(readFileSync(join(folder, file), "utf8")), laxness);
    const agreed = tally.cases - tally.disagreements.length;
    console.log(`${file} ${tally.cases} cases, ${agreed} agree`);
    for (const line of tally.disagreements) console.log(`  DISAGREES ${file}: ${line}`);
    return tally;
  });
  for (const line of laxness.lines()) console.log(line);
  return files.length > 0 && tallies.every(({ disagreements }) => disagreements.length === 0);
}

function runNoise(folder) {
  const files = readdirSync(folder).filter((name) => name.endsWith(".json")).sort();
  const tallies = files.map((file) => {
    const { tally, skipped } = checkNoiseFile(file, JSON.parse(readFileSync(join(folder, file), "utf8")));
    const agreed = tally.cases - tally.disagreements.length;
    console.log(`${file} ${tally.cases} cases, ${agreed} agree, ${skipped} not specified in bytes`);
    for (const line of tally.disagreements) console.log(`  DISAGREES ${file}: ${line}`);
    return tally;
  });
  return files.length > 0 && tallies.every(({ disagreements }) => disagreements.length === 0);
}

function runProof(file, federation) {
  try {
    const proof = verifyProof(readFileSync(file), federation === undefined ? null : fromHex(federation));
    for (const line of describe(proof, federation !== undefined)) console.log(line);
    return true;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    console.log(`REFUSED ${error.message}`);
    return false;
  }
}

/** What definitions (JSON: a list of trees) compile to, for comparison with another implementation. */
function runDefinitions(file) {
  const trees = JSON.parse(readFileSync(file, "utf8"));
  for (const tree of trees) console.log(JSON.stringify(summaryOf(definitionBytes(tree))));
  return true;
}

const [first, file, federation] = process.argv.slice(2);
const RUNS = {
  "--bundle": () => runProof(file, federation),
  "--definitions": () => runDefinitions(file),
  "--noise": () => runNoise(file ?? NOISE),
};
process.exitCode = (RUNS[first] ?? (() => runVectors(first ?? VECTORS)))() ? 0 : 1;
