// node run.mjs [FOLDER]       checks every vector of specs/vectors/v1, or of FOLDER
// node run.mjs --bundle FILE [FEDERATION]     verifies a proof bundle (specs/proofs.md)
// node run.mjs --noise [FOLDER]               checks specs/vectors/noise (specs/privacy.md 3)
// node run.mjs --definitions FILE             says what definitions compile to, a line of JSON each
// node run.mjs --serve                        the same of each line of standard input, a JSON list of such arguments
import { readFileSync, readdirSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { describeAnswer, verifyAnswerProof } from "./answerproofs.mjs";
import { fromHex } from "./bytes.mjs";
import { checkFile } from "./checks.mjs";
import { definitionBytes, summaryOf } from "./definitions.mjs";
import { Laxness } from "./laxness.mjs";
import { describe, verifyProof } from "./proofs.mjs";
import { checkNoiseFile } from "./noisechecks.mjs";
import { Refused } from "./refused.mjs";

const VECTORS = fileURLToPath(new URL("../../../specs/vectors/v1", import.meta.url));
const NOISE = fileURLToPath(new URL("../../../specs/vectors/noise", import.meta.url));

function runFiles(folder, check, say) {
  const files = readdirSync(folder).filter((name) => name.endsWith(".json")).sort();
  const tallies = files.map((file) => {
    const [tally, left] = check(file, JSON.parse(readFileSync(join(folder, file), "utf8")));
    say(`${file} ${tally.cases} cases, ${tally.cases - tally.disagreements.length} agree${left}`);
    for (const line of tally.disagreements) say(`  DISAGREES ${file}: ${line}`);
    return tally;
  });
  return files.length > 0 && tallies.every(({ disagreements }) => disagreements.length === 0);
}

function runVectors(folder, say) {
  const laxness = new Laxness();
  const isGood = runFiles(folder, (file, vectors) => [checkFile(file, vectors, laxness), ""], say);
  for (const line of laxness.lines()) say(line);
  return isGood;
}

function runNoise(folder, say) {
  return runFiles(folder, (file, vectors) => {
    const { tally, skipped } = checkNoiseFile(file, vectors);
    return [tally, `, ${skipped} not specified in bytes`];
  }, say);
}

/** Which kind of bundle it is stands in the second item: an array of ten, 1, a str of six letters. */
function linesOf(bytes, given) {
  const isOfAnswer = bytes.subarray(2, 9).toString("latin1") === "\xa6answer";
  return isOfAnswer ? describeAnswer(verifyAnswerProof(bytes, given), given !== null) : describe(verifyProof(bytes, given), given !== null);
}

function runProof(file, federation, say) {
  try {
    const given = federation === undefined ? null : fromHex(federation);
    for (const line of linesOf(readFileSync(file), given)) say(line);
    return true;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    say(`REFUSED ${error.message}`);
    return false;
  }
}

/** What definitions (JSON: a list of trees) compile to, for comparison with another implementation. */
function runDefinitions(file, say) {
  const trees = JSON.parse(readFileSync(file, "utf8"));
  for (const tree of trees) say(JSON.stringify(summaryOf(definitionBytes(tree))));
  return true;
}

function run([first, file, federation], say) {
  if (first === "--bundle") return runProof(file, federation, say);
  if (first === "--definitions") return runDefinitions(file, say);
  if (first === "--noise") return runNoise(file ?? NOISE, say);
  return runVectors(first ?? VECTORS, say);
}

/** {isGood, lines, error} a line. */
function served(text) {
  const lines = [];
  try {
    return { isGood: run(JSON.parse(text), (line) => lines.push(line)), lines, error: "" };
  } catch (error) {
    return { isGood: false, lines, error: error.stack };
  }
}

const given = process.argv.slice(2);
if (given[0] === "--serve") {
  createInterface({ input: process.stdin }).on("line", (text) => console.log(JSON.stringify(served(text))));
} else {
  process.exitCode = run(given, (line) => console.log(line)) ? 0 : 1;
}
